namespace Vmm.Host.Guest.Disk;

/// <summary>What cloud-init is told of a guest that this program drives.</summary>
internal static class DistroSeed
{
    /// <summary>Lets root log in by ssh.</summary>
    /// <param name="publicKey">The line for <c>authorized_keys</c>.</param>
    public static string Config(string publicKey) =>
        $"""
        #cloud-config
        disable_root: false
        users:
          - name: root
            ssh_authorized_keys:
              - {publicKey}

        """.ReplaceLineEndings("\n");
}
