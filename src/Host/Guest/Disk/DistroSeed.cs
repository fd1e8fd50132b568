using System.Text;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Host.Guest.Disk;

/// <summary>The disks of a guest that this program drives by ssh.</summary>
internal static class DistroSeed
{
    /// <summary>Makes an overlay, which takes what the guest writes, and a seed that lets root log in by ssh.</summary>
    /// <param name="folder">Where both go.</param>
    /// <param name="disk">Made by <see cref="GuestDisk"/>; it stays as it is.</param>
    /// <param name="publicKey">The line for <c>authorized_keys</c>.</param>
    /// <param name="networkConfig">The guest's network, as cloud-init has it; null for DHCP.</param>
    /// <returns>A qcow2 image and a raw one.</returns>
    public static async Task<(string Overlay, string Seed)> MakeDisksAsync(
        string folder, string disk, string publicKey, CancellationToken cancellation, string? networkConfig = null)
    {
        string overlay = Path.Combine(folder, "disk.qcow2");
        BlockImage.CreateQcow2(overlay, new Qcow2Options { BackingFile = disk, BackingFormat = "raw" });
        string seed = Path.Combine(folder, "seed.img");
        byte[] config = Encoding.UTF8.GetBytes(Config(publicKey));
        byte[]? network = networkConfig == null ? null : Encoding.UTF8.GetBytes(networkConfig.ReplaceLineEndings("\n"));
        await File.WriteAllBytesAsync(seed, SeedImage.Make(config, networkConfig: network), cancellation).ConfigureAwait(false);
        return (overlay, seed);
    }

    private static string Config(string publicKey) =>
        $"""
        #cloud-config
        disable_root: false
        users:
          - name: root
            ssh_authorized_keys:
              - {publicKey}

        """.ReplaceLineEndings("\n");
}
