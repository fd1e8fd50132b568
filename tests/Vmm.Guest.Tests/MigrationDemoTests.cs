using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>
/// The demo of migrations as a person starts it: processes of its own, a guest under load, CPUs that come and go on the way.
/// </summary>
public sealed class MigrationDemoTests
{
    [Fact]
    public async Task Guest_under_load_moves_there_and_back()
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        string plot = Path.GetTempFileName();
        try
        {
            (int code, string output, string errors) = await VmmProcess.RunAsync(
                ["demo", "--migrate", "--plot", plot, "--kernel", files.Kernel, "--initrd", files.Initramfs]);
            Assert.True(code == 0, $"{output}\n{errors}");
            Assert.Contains("and back: the migration has: completed", output, StringComparison.Ordinal);
            Assert.EndsWith("checks hold\n", output, StringComparison.Ordinal);
            Assert.StartsWith("<svg ", await File.ReadAllTextAsync(plot), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(plot);
        }
    }
}
