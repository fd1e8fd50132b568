using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Journals;

/// <summary>Folders of which neither they nor the names in them are lost with the power.</summary>
public static class DurableFolder
{
    /// <summary>Makes a folder and those above it where they are missing.</summary>
    /// <exception cref="IOException">One cannot be made, or its name is not on the disk.</exception>
    /// <exception cref="UnauthorizedAccessException">One may not be made.</exception>
    public static void Make(string path) => HostFiles.MakeFolder(path);

    /// <summary>Returns when the names in a folder are on the disk.</summary>
    /// <exception cref="IOException">They are not.</exception>
    public static void Flush(string path) => HostFiles.FlushFolder(path);
}
