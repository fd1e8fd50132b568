using System.Buffers.Binary;
using System.Runtime.Versioning;
using System.Text;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A shared folder that notes owners and modes beside its files; the client learns nothing of the notes.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class MappedFolderTests : VirtioDeviceTests
{
    private const byte Create = 14;
    private const byte GetAttributes = 24;
    private const byte XattrWalk = 30;
    private const byte XattrCreate = 32;
    private const byte Read = 116;
    private const byte Write = 118;
    private const byte Clunk = 120;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-9p-mapped-");
    private readonly VirtioNineP _device;
    private readonly NinePDriver _client;

    public MappedFolderTests()
    {
        _device = VirtioNinePTests.Make(_folder.FullName, false, Ram, out VirtioMmio slot, FolderSecurity.MappedXattr);
        _client = new NinePDriver(_device, slot, Ram, packed: false, indirect: true, eventIndex: true);
        _client.Mount(1000);
    }

    public override void Dispose()
    {
        _device.Config.Dispose();
        base.Dispose();
        _folder.Delete(recursive: true);
    }

    private (uint Mode, uint User, uint Group) AttributesOf(string name)
    {
        Assert.Equal(1, _client.Walk(0, 9, name));
        byte[] attributes = _client.Ok(GetAttributes, 9u, 0x7FFul);
        _client.Ok(Clunk, 9u);
        uint Word(int index) => BinaryPrimitives.ReadUInt32LittleEndian(attributes.AsSpan(21 + (4 * index)));
        return (Word(0), Word(1), Word(2));
    }

    private string ListOf(string name)
    {
        Assert.Equal(1, _client.Walk(0, 9, name));
        _client.Ok(XattrWalk, 9u, 8u, "");
        string names = Encoding.UTF8.GetString(_client.Ok(Read, 8u, 0ul, 1000u)[4..]);
        _client.Ok(Clunk, 8u);
        _client.Ok(Clunk, 9u);
        return names;
    }

    [Fact]
    public void Notes_are_hidden_and_not_to_be_written()
    {
        Assert.Equal(0, _client.Walk(0, 1));
        _client.Ok(Create, 1u, "file", 2u, 0x9EDu, 77u);
        Assert.Equal((0x89EDu, 1000u, 77u), AttributesOf("file"));
        Assert.Equal("", ListOf("file"));
        Assert.Equal(61, _client.Error(XattrWalk, 1u, 5u, "user.virtfs.mode"));
        Assert.Equal(95, _client.Error(XattrWalk, 1u, 5u, "security.capability"));
        Assert.Equal(1, _client.Walk(0, 2, "file"));
        Assert.Equal(13, _client.Error(XattrCreate, 2u, "user.virtfs.mode", 4ul, 0u));
        Assert.Equal(13, _client.Error(XattrCreate, 2u, "user.virtfs.anything", 4ul, 0u));

        // Attributes of the client's own, and an access control list, which the host does not heed.
        foreach (string name in (string[])["user.own", "system.posix_acl_access"])
        {
            Assert.Equal(1, _client.Walk(0, 3, "file"));
            byte[] value = Encoding.ASCII.GetBytes(name);
            _client.Ok(XattrCreate, 3u, name, (ulong)value.Length, 0u);
            _client.Ok(Write, 3u, 0ul, (uint)value.Length, value);
            _client.Ok(Clunk, 3u);
            _client.Ok(XattrWalk, 2u, 4u, name);
            Assert.Equal(value, _client.Ok(Read, 4u, 0ul, 100u)[4..]);
            _client.Ok(Clunk, 4u);
        }

        Assert.Equal(
            ["system.posix_acl_access", "user.own"], ListOf("file").Split('\0', StringSplitOptions.RemoveEmptyEntries).Order());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder.FullName, "file")));
    }

    [Fact]
    public void Symbolic_link_and_device_are_files_of_the_host_and_are_not_opened()
    {
        _client.Ok(16, 0u, "link", "/etc/passwd", 5u);
        _client.Ok(18, 0u, "node", 0x21B6u, 1u, 3u, 6u);
        Assert.Equal((0xA1FFu, 1000u, 5u), AttributesOf("link"));
        Assert.Equal((0x21B6u, 1000u, 6u), AttributesOf("node"));
        Assert.Equal("/etc/passwd", File.ReadAllText(Path.Combine(_folder.FullName, "link")));
        Assert.Equal(1, _client.Walk(0, 1, "link"));
        Assert.Equal("/etc/passwd", Encoding.ASCII.GetString(_client.Ok(22, 1u)[2..]));
        Assert.Equal(6, _client.Error(12, 1u, 0u));
        Assert.Equal(-20, _client.Walk(1, 2, "x"));
        Assert.Equal(1, _client.Walk(0, 3, "node"));
        Assert.Equal(6, _client.Error(12, 3u, 0u));

        // A change of the mode keeps the kind.
        _client.Ok(26, 3u, 1u, 0x8180u, 0u, 0u, 0ul, 0ul, 0ul, 0ul, 0ul);
        Assert.Equal((0x2180u, 1000u, 6u), AttributesOf("node"));
    }

    [Fact]
    public void Machine_that_must_be_able_to_move_has_no_folder_mounted()
    {
        SharedFolder folder = VirtioNinePConfig.TryOpen(_folder.FullName, isReadOnly: false, FolderSecurity.None, out _)!;
        using var config = new VirtioNinePConfig("", "tag", folder with { MayMount = false });
        var device = new VirtioNineP(Ram, config);
        var slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        var client = new NinePDriver(device, slot, Ram, packed: false, indirect: true, eventIndex: true);
        client.Ok(100, 0x2_0000u, "9P2000.L");
        Assert.Equal(13, client.Error(104, 0u, NinePDriver.NoFid, "root", "/", 0u));
        Assert.Null(device.MoveBlocker);
    }
}
