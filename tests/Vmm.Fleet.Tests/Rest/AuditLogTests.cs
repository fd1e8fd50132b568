using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;

namespace Vmm.Fleet.Tests.Rest;

public sealed class AuditLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Long_log_goes_on_in_a_new_file_and_no_line_is_lost()
    {
        const int Lines = 600;
        string path = Path.Combine(_folder, "audit");
        string detail = new('x', 60_000);
        using (var log = new AuditLog(path))
        {
            for (int i = 0; i < Lines; i++)
            {
                log.Add(new VmOperation("vm", $"op{i}", VmAction.Start, 0, "", true, RequestOutcome.Failed, detail, [], 0, 0));
            }
        }

        string[] files = [$"{path}.2", $"{path}.1", path];
        Assert.Equal(files.Order(), Directory.GetFiles(_folder).Order());
        string[] lines = [.. files.SelectMany(File.ReadLines)];
        Assert.Equal(Lines, lines.Length);
        Assert.All(lines.Index(), line => Assert.Contains($"\"op{line.Index}\"", line.Item, StringComparison.Ordinal));
        Assert.All(files, file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(file).UnixFileMode));
        Assert.All(files, file => Assert.True(new FileInfo(file).Length < 17 << 20));
    }
}
