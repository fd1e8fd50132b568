using System.Diagnostics;
using System.Net.Sockets;
using Vmm.Emulation.Boards;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Tests;

/// <summary>
/// Files that are named on the command line and are no files to read: each is refused in one line, and what would wait or never end is not
/// opened.
/// </summary>
public sealed class UserFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-user-file").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public UserFileTests()
    {
        using (Process mkfifo = Process.Start("mkfifo", PathOf("pipe")))
        {
            mkfifo.WaitForExit();
        }

        _listener.Bind(new UnixDomainSocketEndPoint(PathOf("socket")));
        Directory.CreateDirectory(PathOf("folder"));
        File.WriteAllBytes(PathOf("empty"), []);
        File.WriteAllBytes(PathOf("flat"), [0, 0, 0, 0x14, 1, 2, 3]);
        byte[] image = new byte[64];
        "ARM\x64"u8.CopyTo(image.AsSpan(56));
        File.WriteAllBytes(PathOf("Image"), image);
        using FileStream large = File.Create(PathOf("large"));
        large.SetLength(65 << 20);
    }

    public static TheoryData<string, string> Refusals() => new()
    {
        { "pipe", "it is a pipe, not a regular file" },
        { "socket", "it is a socket, not a regular file" },
        { "folder", "it is a directory, not a regular file" },
        { "/dev/zero", "it is a character device, not a regular file" },
        { "/dev/null", "it is a character device, not a regular file" },
        { "/dev/stdin", "not a regular file" },
        { "absent", "No such file or directory" },
        { "flat/absent", "Not a directory" },
        { "", "No such file or directory" },
    };

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public void No_regular_file_is_refused_wherever_it_is_given(string name, string reason)
    {
        // Standard input may be a file where the tests run.
        if (name == "/dev/stdin" && !(new FileInfo(name)
            .ResolveLinkTarget(returnFinalTarget: true)?.FullName.Contains("pipe:", StringComparison.Ordinal) ?? false))
        {
            return;
        }

        string path = name.Length == 0 || name[0] == '/' ? name : PathOf(name);
        MachineOptions good = new() { Kernel = PathOf("Image"), Memory = 64 << 20 };
        (MachineOptions Options, string What)[] uses =
        [
            (good with { Kernel = path }, "kernel"),
            (good with { Initrd = path }, "initrd"),
            (good with { Bios = path }, "firmware"),
            (good with { Drives = [$"if=pflash,file={path}"] }, "flash image"),
            (good with { Drives = [$"if=pflash,readonly=on,file={path}"] }, "flash image"),
        ];
        foreach ((MachineOptions options, string what) in name.Length == 0 ? uses[..3] : uses)
        {
            string said = Assert.Throws<OptionException>(() => options.ToConfig()).Message;
            Assert.StartsWith($"cannot read the {what} '{UserText.Legible(path)}': ", said, StringComparison.Ordinal);
            Assert.EndsWith(reason, said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Empty_and_too_large_files_are_refused()
    {
        MachineOptions good = new() { Kernel = PathOf("Image"), Memory = 64 << 20 };
        Assert.Equal($"the kernel '{PathOf("empty")}' is empty", Refusal(good with { Kernel = PathOf("empty") }));
        Assert.Equal($"the initrd '{PathOf("empty")}' is empty", Refusal(good with { Initrd = PathOf("empty") }));
        Assert.Equal($"the kernel '{PathOf("large")}' is larger than 64 MiB", Refusal(good with { Kernel = PathOf("large") }));
        Assert.Equal($"the initrd '{PathOf("large")}' is larger than 64 MiB", Refusal(good with { Initrd = PathOf("large") }));
        Assert.Equal($"the firmware '{PathOf("flat")}' has 7 bytes: too few for a program", Refusal(good with { Bios = PathOf("flat") }));
    }

    [Fact]
    public void File_without_a_length_is_read_to_its_end() =>
        Assert.Equal(File.ReadAllBytes("/proc/version"), UserFile.Read("kernel", "/proc/version", 1 << 20).ToArray());

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65535)]
    [InlineData(65537)]
    public void File_of_the_largest_length_is_read_whole(int beyond)
    {
        byte[] contents = [.. Enumerable.Range(0, 65536 + beyond).Select(i => (byte)(i * 7))];
        File.WriteAllBytes(PathOf("contents"), contents);
        Assert.Equal(contents, UserFile.Read("kernel", PathOf("contents"), contents.Length).ToArray());
        Assert.Throws<OptionException>(() => UserFile.Read("kernel", PathOf("contents"), contents.Length - 1));
    }

    [Fact]
    public void Program_that_is_not_Linux_is_described_by_its_device_tree_alone_and_no_initrd_is_none()
    {
        MachineOptions options = new() { Kernel = PathOf("Image"), Memory = 64 << 20 };
        MachineConfig linux = options.ToConfig();
        Assert.True(linux.Acpi);
        Assert.True(linux.Boot.Initrd.IsEmpty);
        Assert.False((options with { Kernel = PathOf("flat") }).ToConfig().Acpi);
    }

    [Theory]
    [InlineData(24ul << 30, null)]
    [InlineData((24ul << 30) + (2ul << 30), null)]
    [InlineData((26ul << 30) + 4096, "warning: the guest's RAM of 26624 MiB is more than this host's memory and swap, 26624 MiB")]
    [InlineData(30ul << 30, "warning: the guest's RAM of 30720 MiB is more than this host's memory and swap, 26624 MiB")]
    public void Memory_that_the_host_does_not_have_is_said(ulong bytes, string? notice)
    {
        string? said = MemoryOption.Notice(bytes, "MemTotal:       25165824 kB\nMemFree:         1 kB\nSwapTotal:       2097152 kB\n");
        Assert.True(notice == null ? said == null : said!.StartsWith(notice, StringComparison.Ordinal), said);
        Assert.Null(MemoryOption.Notice(bytes, ""));
    }

    private static string Refusal(MachineOptions options) => Assert.Throws<OptionException>(() => options.ToConfig()).Message;

    private string PathOf(string name) => Path.Combine(_folder, name);
}
