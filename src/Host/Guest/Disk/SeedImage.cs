using System.Text;

namespace Vmm.Host.Guest.Disk;

/// <summary>
/// A disk that cloud-init takes its configuration from (cloud-init's documentation, "NoCloud"): a file system with the label "cidata" and
/// the files <c>user-data</c> and <c>meta-data</c>, and perhaps <c>network-config</c>.
/// </summary>
internal static class SeedImage
{
    private const string Label = "CIDATA";

    /// <param name="userData">What the guest is to do: a file that begins with <c>#cloud-config</c>, or a script.</param>
    /// <param name="metaData">The guest's identity; null for an identity that follows from the user data.</param>
    /// <param name="networkConfig">Its network; null for DHCP.</param>
    public static byte[] Make(byte[] userData, byte[]? metaData = null, byte[]? networkConfig = null)
    {
        // cloud-init does things once for each instance-id: other user data are another instance.
        metaData ??= Encoding.UTF8.GetBytes(
            $"instance-id: vmm-{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(userData))[..16]}\n");
        var files = new List<(string, byte[])> { ("user-data", userData), ("meta-data", metaData) };
        if (networkConfig != null)
        {
            files.Add(("network-config", networkConfig));
        }

        return FatImage.Make(Label, files);
    }
}
