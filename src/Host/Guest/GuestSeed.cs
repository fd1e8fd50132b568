using System.CommandLine;
using Vmm.Host.Commands;
using Vmm.Host.Guest.Disk;

namespace Vmm.Host.Guest;

/// <summary>The command <c>vmm guest seed</c>: makes a disk that configures a guest with cloud-init.</summary>
public static class GuestSeed
{
    public static Command Create()
    {
        var image = new Argument<string>("image") { Description = "the disk to make; give it to the guest as a raw drive" };
        var userData = new Option<string>("--user-data")
        {
            Description = "what the guest is to do, such as a file that begins with #cloud-config", Required = true,
        };
        var metaData = new Option<string?>("--meta-data") { Description = "the guest's identity (instance-id, local-hostname)" };
        var network = new Option<string?>("--network-config") { Description = "the guest's network; DHCP without it" };
        var seed = new Command("seed", "Make a disk that configures a guest with cloud-init (NoCloud)")
        {
            image, userData, metaData, network,
        };
        seed.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                async Task<byte[]?> ReadAsync(string? path) => path == null ? null : await File.ReadAllBytesAsync(path, cancellation);
                byte[] made = SeedImage.Make(
                    (await ReadAsync(parsed.GetValue(userData)))!, await ReadAsync(parsed.GetValue(metaData)),
                    await ReadAsync(parsed.GetValue(network)));
                await File.WriteAllBytesAsync(parsed.GetValue(image)!, made, cancellation);
                return ExitCode.Success;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                return await Complaint.Write(e.Message);
            }
        });
        return seed;
    }
}
