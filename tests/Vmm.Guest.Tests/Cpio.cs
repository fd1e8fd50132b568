using System.Text;

namespace Vmm.Guest.Tests;

/// <summary>Writes an initial RAM file system: cpio in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
internal sealed class Cpio
{
    private const int RegularFile = 0x8000;
    private const int Folder = 0x4000;
    private const int CharacterDevice = 0x2000;

    private readonly List<byte> _bytes = [];
    private int _inode = 1;

    public Cpio AddFolder(string path) => Entry(path, Folder | 0x1ED, [], 0, 0);

    /// <summary>A file with mode 0755.</summary>
    public Cpio AddFile(string path, ReadOnlySpan<byte> content) => Entry(path, RegularFile | 0x1ED, content, 0, 0);

    public Cpio AddCharacterDevice(string path, int major, int minor) => Entry(path, CharacterDevice | 0x180, [], major, minor);

    public byte[] ToArray()
    {
        Entry("TRAILER!!!", 0, [], 0, 0);
        return [.. _bytes];
    }

    private Cpio Entry(string path, int mode, ReadOnlySpan<byte> content, int major, int minor)
    {
        int[] fields = [_inode++, mode, 0, 0, 1, 0, content.Length, 0, 0, major, minor, path.Length + 1, 0];
        _bytes.AddRange(Encoding.ASCII.GetBytes("070701" + string.Concat(fields.Select(f => f.ToString("X8"))) + path + "\0"));
        Pad();
        _bytes.AddRange(content);
        Pad();
        return this;
    }

    private void Pad()
    {
        while (_bytes.Count % 4 != 0)
        {
            _bytes.Add(0);
        }
    }
}
