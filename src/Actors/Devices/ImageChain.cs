using Vmm.Emulation.Block;

namespace Vmm.Actors.Devices;

/// <summary>The files that an image of a disk stands on.</summary>
public static class ImageChain
{
    /// <param name="image">A qcow2 image.</param>
    /// <param name="below">Its backing file, that one's, and so on.</param>
    /// <param name="problem">Why they are not known, as one line.</param>
    public static bool TryRead(string image, out IReadOnlyList<string> below, out string problem)
    {
        try
        {
            (below, problem) = (BlockImage.BackingFilesOf(image), "");
            return true;
        }
        catch (BlockException e)
        {
            (below, problem) = ([], e.Message);
            return false;
        }
    }
}
