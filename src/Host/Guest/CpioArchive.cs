using System.Globalization;
using System.Text;

namespace Vmm.Host.Guest;

/// <summary>
/// Writes a cpio archive in the "new ASCII" format (magic 070701), which Linux unpacks as its initramfs
/// (Documentation/driver-api/early-userspace/buffer-format.rst). The same calls always give the same bytes: times are 0, owners are root,
/// and inode numbers count up.
/// </summary>
public sealed class CpioArchive
{
    private const uint TypeDirectory = 0x4000;
    private const uint TypeRegular = 0x8000;
    private const uint TypeSymbolicLink = 0xA000;
    private const uint TypeCharacterDevice = 0x2000;

    private readonly List<byte> _bytes = [];
    private uint _inode;

    /// <param name="path">Relative to the root, without a leading slash.</param>
    /// <param name="mode">Permission bits.</param>
    public void AddDirectory(string path, uint mode = 0x1ED) => Add(path, TypeDirectory | mode, [], 0, 0);

    public void AddFile(string path, ReadOnlySpan<byte> content, uint mode = 0x1A4) => Add(path, TypeRegular | mode, content, 0, 0);

    public void AddSymbolicLink(string path, string target) => Add(path, TypeSymbolicLink | 0x1FF, Encoding.UTF8.GetBytes(target), 0, 0);

    public void AddCharacterDevice(string path, uint major, uint minor, uint mode = 0x180) =>
        Add(path, TypeCharacterDevice | mode, [], major, minor);

    /// <summary>Closes the archive, padded to 512 bytes as cpio does, and returns it.</summary>
    public byte[] ToArray()
    {
        _inode = uint.MaxValue;
        Add("TRAILER!!!", 0, [], 0, 0);
        Pad(512);
        return [.. _bytes];
    }

    private void Add(string path, uint mode, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] name = Encoding.UTF8.GetBytes(path + "\0");
        uint links = (mode & 0xF000) == TypeDirectory ? 2u : 1u;
        uint[] fields =
        [
            unchecked(++_inode), mode, 0, 0, links, 0, (uint)content.Length, 0, 0, major, minor, (uint)name.Length, 0,
        ];
        var header = new StringBuilder("070701", 110);
        foreach (uint field in fields)
        {
            header.Append(field.ToString("X8", CultureInfo.InvariantCulture));
        }

        _bytes.AddRange(Encoding.ASCII.GetBytes(header.ToString()));
        _bytes.AddRange(name);
        Pad(4);
        _bytes.AddRange(content);
        Pad(4);
    }

    private void Pad(int alignment)
    {
        while (_bytes.Count % alignment != 0)
        {
            _bytes.Add(0);
        }
    }
}
