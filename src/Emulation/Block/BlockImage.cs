using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Block;

/// <summary>Opens and makes disk images with the images that they stand on.</summary>
public static class BlockImage
{
    // As many overlays as nobody makes; each has tables in memory.
    private const int LongestChain = 64;

    /// <summary>
    /// Opens a disk. The format is the caller's to say: a guest that writes a raw disk could write there what makes it another format, and
    /// name files of the host as its backing files.
    /// </summary>
    /// <param name="format"><c>raw</c> or <c>qcow2</c>.</param>
    /// <param name="writable">The disk itself; backing files are only ever read.</param>
    /// <exception cref="BlockException">Why not, as one line.</exception>
    public static BlockNode Open(string path, string format, bool writable, ImageOptions options)
    {
        BlockNode node = Open(path, format, writable, options, []);
        return options.Cache.WriteBack || !writable ? node : new WriteThroughNode(node);
    }

    /// <summary>The files that a qcow2 image stands on: its backing file, that one's, and so on. They need not be there.</summary>
    /// <exception cref="BlockException">A header cannot be read, as one line.</exception>
    public static IReadOnlyList<string> BackingFilesOf(string path)
    {
        var below = new List<string>();
        for (string? format = "qcow2"; format == "qcow2" && below.Count < LongestChain;)
        {
            using FileNode file = FileNode.Open(path, writable: false, new ImageOptions { Locking = false });
            Qcow2Header header = Qcow2Header.Read(file);
            format = header.BackingFile == null ? null : header.BackingFormat;
            if (header.BackingFile != null)
            {
                path = Resolve(path, header.BackingFile);
                below.Add(path);
            }
        }

        return below;
    }

    /// <summary>Makes a qcow2 image, where no file is yet. The backing file is opened to see whether it can be.</summary>
    /// <exception cref="BlockException">Why not, as one line; no file is left behind.</exception>
    public static void CreateQcow2(string path, Qcow2Options options)
    {
        long size = options.Size ?? 0;
        if (options.BackingFile != null)
        {
            if (options.BackingFormat == null)
            {
                throw new BlockException($"'{path}' cannot have a backing file without its format (backing_fmt)");
            }

            using BlockNode backing = Open(
                Resolve(path, options.BackingFile), options.BackingFormat, false, new ImageOptions { Locking = false }, []);
            size = options.Size ?? backing.Size;
        }
        else if (options.Size == null)
        {
            throw new BlockException($"'{path}' needs a size, as it has no backing file to take it from");
        }

        using FileNode file = FileNode.Create(path, new ImageOptions());
        try
        {
            Qcow2Image.Create(file, size, options);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>
    /// A disk whose changes last as long as it is open (<c>-snapshot</c>): they go to a file without a name.
    /// </summary>
    /// <param name="node">Is only read; owned.</param>
    /// <param name="folder">Of the file.</param>
    /// <exception cref="BlockException">The file cannot be made.</exception>
    public static BlockNode OpenTemporaryOverlay(BlockNode node, string folder)
    {
        // As QEMU has it for -snapshot: what does not outlive the process needs no flush.
        var options = new ImageOptions { Cache = CacheMode.Parse("unsafe")!.Value, Unmap = true };
        string path = Path.Combine(folder, $"vmm-overlay-{Guid.NewGuid():n}.qcow2");
        FileNode file = FileNode.Create(path, options);
        try
        {
            File.Delete(path);
            long size = Qcow2Header.Divide(node.Size, Qcow2Spec.SectorSize) * Qcow2Spec.SectorSize;
            Qcow2Image.Create(file, size, new Qcow2Options());
            return Qcow2Image.OpenOver(file, node, options);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The file that a name of a backing file means in the header of an image (QEMU, docs/system/images.rst).</summary>
    /// <exception cref="BlockException">It is no file.</exception>
    private static string Resolve(string image, string backing)
    {
        const string FilePrefix = "file:";
        string name = backing.StartsWith(FilePrefix, StringComparison.Ordinal) ? backing[FilePrefix.Length..] : backing;
        int colon = name.IndexOf(':', StringComparison.Ordinal);
        int slash = name.IndexOf('/', StringComparison.Ordinal);
        if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal) || (colon >= 0 && (slash < 0 || colon < slash)))
        {
            throw new BlockException(
                $"'{image}' has a backing file that is no file of the host: '{backing}'; protocols are not supported");
        }

        return Path.Combine(Path.GetDirectoryName(Path.GetFullPath(image))!, name);
    }

    private static BlockNode Open(
        string path, string format, bool writable, ImageOptions options, List<(uint, uint, ulong)> chain)
    {
        if (format is not ("raw" or "qcow2"))
        {
            throw new BlockException($"'{path}': the format '{format}' is not supported; raw and qcow2 are");
        }

        FileNode file = FileNode.Open(path, writable, options);
        if (file.Identity is { } identity)
        {
            if (chain.Contains(identity) || chain.Count == LongestChain)
            {
                file.Dispose();
                throw new BlockException(chain.Count == LongestChain
                    ? $"'{path}' is the backing file of {LongestChain} images on one another; no more are supported"
                    : $"'{path}' is, by way of its backing files, its own backing file");
            }

            chain.Add(identity);
        }

        ImageOptions below = options with { Snapshot = null };
        return format == "raw" ? new RawNode(file)
            : Qcow2Image.Open(file, writable, options, (name, kind) => Open(Resolve(path, name), kind, false, below, chain));
    }
}
