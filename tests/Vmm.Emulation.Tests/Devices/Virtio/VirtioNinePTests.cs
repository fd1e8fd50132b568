using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A shared folder, with the test as its client and its backend: what it does, and that nothing leads out of it.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class VirtioNinePTests : VirtioDeviceTests
{
    private const int NoEntry = 2;
    private const int NoDevice = 6;
    private const int BadFid = 9;
    private const int NotDirectory = 20;
    private const int Invalid = 22;
    private const int ReadOnly = 30;
    private const int NotPermitted = 1;
    private const byte Create = 14;
    private const byte Open = 12;
    private const byte Read = 116;
    private const byte Write = 118;
    private const byte Clunk = 120;

    private readonly DirectoryInfo _host = Directory.CreateTempSubdirectory("vmm-9p-");
    private readonly string _folder;
    private readonly List<VirtioNinePConfig> _configs = [];
    private readonly ITestOutputHelper _output;

    public VirtioNinePTests(ITestOutputHelper output)
    {
        _output = output;
        _folder = _host.CreateSubdirectory("shared").FullName;
        File.WriteAllText(Path.Combine(_host.FullName, "secret"), "outside");
        _host.CreateSubdirectory("other");
        File.WriteAllText(Path.Combine(_host.FullName, "other", "secret"), "outside");
    }

    public override void Dispose()
    {
        _configs.ForEach(c => c.Dispose());
        base.Dispose();
        Assert.True(TryRun("rm", "-rf", _host.FullName));
    }

    /// <summary>A day in the life of a folder, over either ring with each feature of rings off and on.</summary>
    [Theory]
    [MemberData(nameof(Rings))]
    public void Client_does_to_the_folder_what_it_asks_for(bool packed, bool indirect, bool eventIndex)
    {
        NinePDriver client = Mount(out VirtioNineP device, packed, indirect, eventIndex);
        Assert.NotNull(device.MoveBlocker);
        client.Ok(72, 0u, "sub", 0x1EDu, 0u);
        Assert.Equal(1, client.Walk(0, 1, "sub"));
        Assert.Equal(0, client.Walk(1, 2));
        client.Ok(Create, 2u, "file", 2u, 0x1A4u, 0u);
        byte[] data = new byte[100_000];
        new Random(1).NextBytes(data);
        Assert.Equal(100_000u, BinaryPrimitives.ReadUInt32LittleEndian(client.Ok(Write, 2u, 0ul, 100_000u, data)));
        client.Ok(50, 2u, 0u);
        Assert.Equal(data, File.ReadAllBytes(HostPath("sub/file")));
        byte[] read = client.Ok(Read, 2u, 50_000ul, 100_000u);
        Assert.Equal(data[50_000..], read[4..]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
            File.GetUnixFileMode(HostPath("sub/file")));

        // Its attributes, and changes of them.
        byte[] attributes = client.Ok(24, 2u, 0x7FFul);
        Assert.Equal(100_000ul, BinaryPrimitives.ReadUInt64LittleEndian(attributes.AsSpan(8 + 13 + 4 + 4 + 4 + 8 + 8)));
        client.Ok(26, 2u, 1u | 8u | 0x20u | 0x100u, 0x180u, 0u, 0u, 10ul, 0ul, 0ul, 1_000_000ul, 5ul);
        Assert.Equal((10, UnixFileMode.UserRead | UnixFileMode.UserWrite), (new FileInfo(HostPath("sub/file")).Length,
            File.GetUnixFileMode(HostPath("sub/file"))));
        Assert.Equal(DateTime.UnixEpoch.AddSeconds(1_000_000), File.GetLastWriteTimeUtc(HostPath("sub/file")), TimeSpan.FromSeconds(1));

        // Names: links, symbolic links, FIFOs, renames.
        client.Ok(70, 1u, 2u, "hard");
        client.Ok(16, 1u, "soft", "../anywhere/at all", 0u);
        Assert.Equal("../anywhere/at all", new FileInfo(HostPath("sub/soft")).LinkTarget);
        Assert.Equal(1, client.Walk(1, 3, "soft"));
        Assert.Equal("../anywhere/at all", Encoding.UTF8.GetString(client.Ok(22, 3u)[2..]));
        client.Ok(18, 1u, "fifo", 0x11A4u, 0u, 0u, 0u);
        client.Ok(74, 1u, "hard", 0u, "moved");
        Assert.Equal(data[..10], File.ReadAllBytes(HostPath("moved")));
        Assert.Equal(0, client.Walk(1, 4));
        client.Ok(Open, 4u, 0x1_0000u);
        Assert.Equal([".", "..", "fifo", "file", "soft"], client.List(4, 8000).Order(StringComparer.Ordinal));
        Assert.Equal([".", "..", "fifo", "file", "soft"], client.List(4, 60).Order(StringComparer.Ordinal));

        // Rename and remove by fid, and unlink.
        Assert.Equal(1, client.Walk(0, 5, "moved"));
        client.Ok(20, 5u, 1u, "again");
        client.Ok(122, 5u);
        Assert.False(File.Exists(HostPath("sub/again")));
        client.Ok(76, 1u, "fifo", 0u);
        client.Ok(76, 1u, "soft", 0u);
        client.Ok(76, 1u, "file", 0u);
        Assert.NotEqual(0, client.Error(76, 0u, "sub", 0u));
        client.Ok(76, 0u, "sub", 0x200u);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));

        // A file that has no name any more is still there for its fid.
        Assert.Equal(data[..10], client.Ok(Read, 2u, 0ul, 100u)[4..]);
        Assert.Equal(60, client.Ok(8, 0u).Length);
        Assert.Equal((byte)0, client.Ok(52, 2u, (byte)1, 0u, 0ul, 0ul, 1u, "host")[0]);
        Assert.Equal((byte)2, client.Ok(54, 2u, (byte)1, 0ul, 0ul, 1u, "host")[0]);
        client.Ok(108, (ushort)77);
        foreach (uint fid in (uint[])[1, 2, 3, 4])
        {
            client.Ok(Clunk, fid);
        }

        Assert.NotNull(device.MoveBlocker);
        client.Ok(Clunk, 0u);
        Assert.Null(device.MoveBlocker);
        Assert.Null(device.Fault);
    }

    /// <summary>A guest that means no good keeps no thread for ever.</summary>
    [Fact]
    public async Task Flushes_of_each_other_end()
    {
        const byte Flush = 108;
        NinePDriver client = Mount(out VirtioNineP device, packed: false, indirect: true, eventIndex: true);
        client.Post(0, Flush, 1, (ushort)2);
        client.Post(1, Flush, 2, (ushort)1);
        NinePRequest[] requests = [new(), new()];
        foreach (NinePRequest request in requests)
        {
            Assert.True(device.TryTake(request));
            device.Read(request);
        }

        await Task.WhenAll(requests.Select(request => Task.Run(() =>
        {
            device.Process(request);
            device.Complete(request);
        }))).WaitAsync(Patience.Limit);
        Assert.Null(device.Fault);
        Assert.NotNull(client.Ring.Take());
        Assert.NotNull(client.Ring.Take());
    }


    [Fact]
    public void Extended_attributes_are_written_read_listed_and_removed()
    {
        NinePDriver client = Mount(out _);
        File.WriteAllText(HostPath("file"), "");
        void Set(byte[] value)
        {
            Assert.Equal(1, client.Walk(0, 1, "file"));
            client.Ok(32, 1u, "user.test", (ulong)value.Length, 0u);
            if (value.Length > 0)
            {
                client.Ok(Write, 1u, 0ul, (uint)value.Length, value);
            }

            client.Ok(Clunk, 1u);
        }

        Set("a value"u8.ToArray());
        Assert.Equal(1, client.Walk(0, 1, "file"));
        Assert.Equal(7ul, BinaryPrimitives.ReadUInt64LittleEndian(client.Ok(30, 1u, 2u, "user.test")));
        Assert.Equal("a value"u8.ToArray(), client.Ok(Read, 2u, 0ul, 100u)[4..]);
        client.Ok(30, 1u, 3u, "");
        Assert.Equal("user.test\0"u8.ToArray(), client.Ok(Read, 3u, 0ul, 100u)[4..]);
        client.Ok(Clunk, 1u);
        Set([]);
        Assert.Equal(1, client.Walk(0, 1, "file"));
        Assert.Equal(61, client.Error(30, 1u, 4u, "user.test"));
        Assert.Equal(95, client.Error(30, 1u, 4u, "security.capability"));
        Assert.Equal(95, client.Error(32, 1u, "trusted.x", 3ul, 0u));
        Assert.Equal(28, client.Error(32, 1u, "user.x", 1ul << 32, 0u));
    }

    [Fact]
    public void Names_that_lead_elsewhere_are_none()
    {
        NinePDriver client = Mount(out _);
        client.Ok(72, 0u, "a", 0x1EDu, 0u);
        client.Ok(72, 0u, "b", 0x1EDu, 0u);

        // Above the root is the root, and a way back goes where the client came from.
        Assert.Equal(3, client.Walk(0, 1, "..", "..", ".."));
        Assert.Equal(InodeOf("."), Inode(client, 1));
        Assert.Equal(3, client.Walk(0, 2, "a", "..", "b"));
        Assert.Equal(InodeOf("b"), Inode(client, 2));
        Assert.Equal(4, client.Walk(0, 3, "a", "..", "..", "b"));
        foreach (string name in (string[])["", ".", "a/b", "/", "/etc", "../secret", "a/../../secret", "secret\0", "\0"])
        {
            Assert.Equal(-NoEntry, client.Walk(0, 9, name));
        }

        Assert.Equal(-36, client.Walk(0, 9, new string('x', 256)));
        foreach (string name in (string[])["", ".", "..", "../new", "/new", "a/new", "n\0w"])
        {
            Assert.Equal(Invalid, client.Error(72, 0u, name, 0x1EDu, 0u));
            Assert.Equal(Invalid, client.Error(18, 0u, name, 0x81A4u, 0u, 0u, 0u));
            Assert.Equal(Invalid, client.Error(16, 0u, name, "target", 0u));
            Assert.Equal(Invalid, client.Error(70, 0u, 1u, name));
            Assert.Equal(Invalid, client.Error(74, 0u, "a", 0u, name));
            Assert.Equal(Invalid, client.Error(74, 0u, name, 0u, "new"));
            Assert.Equal(Invalid, client.Error(20, 2u, 0u, name));
            Assert.Equal(Invalid, client.Error(76, 0u, name, 0u));
            Assert.Equal(Invalid, client.Error(Create, 0u, name, 2u, 0x1A4u, 0u));
        }

        Assert.Equal(["a", "b"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName).Order());
        Assert.Equal("outside", File.ReadAllText(Path.Combine(_host.FullName, "secret")));
    }

    [Fact]
    public void Symbolic_links_are_never_followed()
    {
        File.CreateSymbolicLink(HostPath("absolute"), Path.Combine(_host.FullName, "secret"));
        File.CreateSymbolicLink(HostPath("relative"), "../secret");
        File.CreateSymbolicLink(HostPath("folder"), "../other");
        Directory.CreateDirectory(HostPath("in"));
        File.CreateSymbolicLink(HostPath("in/nested"), "../folder");
        File.CreateSymbolicLink(HostPath("proc"), "/proc/self/root");
        NinePDriver client = Mount(out _);
        foreach (string name in (string[])["absolute", "relative", "folder", "proc"])
        {
            // The client sees the link itself.
            Assert.Equal(1, client.Walk(0, 1, name));
            Assert.Equal(0xA000u, Mode(client, 1) & 0xF000);
            Assert.Equal(NoDevice, client.Error(Open, 1u, 0u));
            Assert.Equal(NoDevice, client.Error(Open, 1u, 2u));
            Assert.NotEqual(0, client.Error(26, 1u, 8u, 0u, 0u, 0u, 0ul, 0ul, 0ul, 0ul, 0ul));
            Assert.NotEqual(0, client.Error(26, 1u, 1u, 0x1FFu, 0u, 0u, 0ul, 0ul, 0ul, 0ul, 0ul));
            Assert.NotEqual(0, client.Error(72, 1u, "made", 0x1EDu, 0u));
            Assert.NotEqual(0, client.Error(76, 1u, "secret", 0u));

            // A walk through it ends there.
            Assert.Equal(1, client.Walk(0, 2, name, "secret"));
            Assert.Equal(BadFid, client.Error(24, 2u, 0x7FFul));
            Assert.Equal(-NotDirectory, client.Walk(1, 2, "secret"));
            client.Ok(Clunk, 1u);

            // To make a file by that name opens nothing behind it.
            Assert.Equal(0, client.Walk(0, 1));
            Assert.Equal(NoDevice, client.Error(Create, 1u, name, 0x242u, 0x1FFu, 0u));
            client.Ok(Clunk, 1u);
        }

        Assert.Equal(2, client.Walk(0, 1, "in", "nested", "secret"));
        Assert.Equal(BadFid, client.Error(24, 1u, 0x7FFul));
        Assert.Equal("outside", File.ReadAllText(Path.Combine(_host.FullName, "secret")));
        Assert.Equal(["secret"], Directory.EnumerateFileSystemEntries(Path.Combine(_host.FullName, "other")).Select(Path.GetFileName));
    }

    [Fact]
    public void Device_nodes_are_not_made_and_nothing_but_files_and_folders_is_opened()
    {
        NinePDriver client = Mount(out _);
        Assert.Equal(NotPermitted, client.Error(18, 0u, "null", 0x21B6u, 1u, 3u, 0u));
        Assert.Equal(NotPermitted, client.Error(18, 0u, "disk", 0x61B6u, 8u, 0u, 0u));
        Assert.Equal(NotPermitted, client.Error(18, 0u, "other", 0x71B6u, 8u, 0u, 0u));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));

        // Those that the host has made. A FIFO without another side would block whoever opens it.
        client.Ok(18, 0u, "fifo", 0x11B6u, 0u, 0u, 0u);
        client.Ok(18, 0u, "socket", 0xC1B6u, 0u, 0u, 0u);
        bool hasNode = TryRun("mknod", HostPath("zero"), "c", "1", "5");
        foreach (string name in (string[])["fifo", "socket", .. hasNode ? (string[])["zero"] : []])
        {
            for (uint access = 0; access < 3; access++)
            {
                Assert.Equal(1, client.Walk(0, 1, name));
                Assert.Equal(NoDevice, client.Error(Open, 1u, access));
                client.Ok(Clunk, 1u);
                Assert.Equal(0, client.Walk(0, 1));
                Assert.Equal(NoDevice, client.Error(Create, 1u, name, access | 0x40, 0x1A4u, 0u));
                client.Ok(Clunk, 1u);
            }

            client.Ok(76, 0u, name, 0u);
        }
    }

    [Fact]
    public void Hard_links_stay_in_the_folder()
    {
        NinePDriver client = Mount(out _);
        File.CreateSymbolicLink(HostPath("link"), "../secret");
        Assert.Equal(1, client.Walk(0, 1, "link"));

        // A hard link to a symbolic link is one to the link.
        (_, int error) = client.Call(70, 0u, 1u, "hard");
        if (error == 0)
        {
            Assert.Equal("../secret", new FileInfo(HostPath("hard")).LinkTarget);
        }

        Assert.NotEqual(0, client.Error(70, 0u, 0u, "root"));
        Assert.Equal(BadFid, client.Error(70, 0u, 99u, "none"));
    }

    /// <summary>A host that puts a symbolic link in the place of a folder, and back, as fast as it can, while the client walks.</summary>
    [Fact]
    public void Race_of_a_folder_with_a_symbolic_link_leads_nowhere_else()
    {
        Directory.CreateDirectory(HostPath("swap"));
        File.WriteAllText(HostPath("swap/secret"), "inside");
        File.CreateSymbolicLink(HostPath("bait"), Path.Combine(_host.FullName, "other"));
        using var stop = new CancellationTokenSource();
        Assert.Equal(Errno.None, FolderCalls.OpenRoot(_folder, out SafeFileHandle root));
        void Rename(string from, string to) => Assert.Equal(
            Errno.None, FolderCalls.Rename(root, Encoding.UTF8.GetBytes(from), root, Encoding.UTF8.GetBytes(to)));
        var swapper = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                Rename("swap", "aside");
                Rename("bait", "swap");
                Rename("swap", "bait");
                Rename("aside", "swap");
            }
        });
        NinePDriver client = Mount(out _);
        swapper.Start();
        int reached = 0;
        int turnedAway = 0;
        try
        {
            var clock = Stopwatch.StartNew();
            for (int i = 0; i < 200_000 && (reached < 200 || turnedAway < 200) && clock.Elapsed < Patience.Limit; i++)
            {
                int steps = client.Walk(0, 1, "swap", "secret");
                if (steps != 2)
                {
                    turnedAway++;
                    continue;
                }

                client.Ok(Open, 1u, 2u);
                Assert.Equal("inside"u8.ToArray(), client.Ok(Read, 1u, 0ul, 100u)[4..]);
                client.Ok(Write, 1u, 0ul, 6u, "inside"u8.ToArray());
                client.Ok(Clunk, 1u);
                reached++;

                // To make and unlink in it goes the same way.
                if (client.Walk(0, 2, "swap") == 1)
                {
                    client.Call(Create, 2u, "new", 0x42u, 0x1A4u, 0u);
                    client.Ok(Clunk, 2u);
                }
            }
        }
        finally
        {
            stop.Cancel();
            swapper.Join();
            root.Dispose();
        }

        _output.WriteLine($"{reached} reached, {turnedAway} turned away");
        Assert.True(reached > 0 && turnedAway > 0);
        Assert.Equal("outside", File.ReadAllText(Path.Combine(_host.FullName, "other", "secret")));
        Assert.Equal(["secret"], Directory.EnumerateFileSystemEntries(Path.Combine(_host.FullName, "other")).Select(Path.GetFileName));
    }

    [Fact]
    public void Folder_that_is_read_only_is_not_changed()
    {
        Directory.CreateDirectory(HostPath("sub"));
        File.WriteAllText(HostPath("file"), "text");
        NinePDriver client = Mount(out _, readOnly: true);
        Assert.Equal(1, client.Walk(0, 1, "file"));
        Assert.Equal(ReadOnly, client.Error(Open, 1u, 1u));
        Assert.Equal(ReadOnly, client.Error(Open, 1u, 2u));
        Assert.Equal(ReadOnly, client.Error(Open, 1u, 0x200u));
        Assert.Equal(ReadOnly, client.Error(26, 1u, 8u, 0u, 0u, 0u, 0ul, 0ul, 0ul, 0ul, 0ul));
        Assert.Equal(ReadOnly, client.Error(32, 1u, "user.x", 1ul, 0u));
        Assert.Equal(ReadOnly, client.Error(72, 0u, "new", 0x1EDu, 0u));
        Assert.Equal(ReadOnly, client.Error(16, 0u, "new", "target", 0u));
        Assert.Equal(ReadOnly, client.Error(18, 0u, "new", 0x81A4u, 0u, 0u, 0u));
        Assert.Equal(ReadOnly, client.Error(70, 0u, 1u, "new"));
        Assert.Equal(ReadOnly, client.Error(74, 0u, "file", 0u, "new"));
        Assert.Equal(ReadOnly, client.Error(20, 1u, 0u, "new"));
        Assert.Equal(ReadOnly, client.Error(76, 0u, "file", 0u));
        Assert.Equal(0, client.Walk(0, 2));
        Assert.Equal(ReadOnly, client.Error(Create, 2u, "new", 2u, 0x1A4u, 0u));
        client.Ok(Open, 1u, 0u);
        Assert.Equal("text"u8.ToArray(), client.Ok(Read, 1u, 0ul, 100u)[4..]);
        Assert.Equal(BadFid & 0xF, client.Error(Write, 1u, 0ul, 1u, new byte[1]));
        Assert.Equal(0, client.Walk(0, 3, []));
        Assert.Equal(ReadOnly, client.Error(122, 1u));
        Assert.Equal("text", File.ReadAllText(HostPath("file")));
    }

    [Fact]
    public void Fids_and_requests_that_make_no_sense_are_refused()
    {
        NinePDriver client = Mount(out VirtioNineP device);
        Assert.Equal(95, client.Error(102, 1u, "user", "", 0u));
        Assert.Equal(95, client.Error(255));
        Assert.Equal(90, client.Error(100, 4095u, "9P2000.L"));
        Assert.Equal(Invalid, client.Error(104, 0u, NinePDriver.NoFid, "root", "/", 0u));
        Assert.Equal(Invalid, client.Error(110, 0u, 1u, (ushort)17));
        Assert.Equal(Invalid, client.Error(110, 0u, 1u, (ushort)1));
        Assert.Equal(BadFid, client.Error(Clunk, 5u));
        Assert.Equal(BadFid, client.Error(Read, 0u, 0ul, 10u));
        Assert.Equal(BadFid, client.Error(40, 0u, 0ul, 10u));
        client.Ok(Open, 0u, 0u);
        Assert.Equal(Invalid, client.Error(Open, 0u, 0u));
        Assert.Equal(Invalid, client.Error(110, 0u, 0u, (ushort)1, ".."));
        Assert.Equal("unknown", Encoding.UTF8.GetString(client.Ok(100, 8192u, "9P2000.u")[6..]));
        Assert.Equal(BadFid, client.Error(24, 0u, 0x7FFul));
        Assert.Null(device.Fault);

        // A message that is not as long as it says breaks the device.
        client.Raw([.. BitConverter.GetBytes(100), Clunk, 1, 0, 0, 0, 0, 0]);
        Assert.NotNull(device.Fault);
        Assert.Equal(0x4Fu, client.Slot.Status);
        client.Slot.Status = 0;
        Assert.Equal(0u, client.Slot.Status);
    }

    /// <summary>Fids are bounded: a client that asks for more is refused, and the others stay.</summary>
    [Fact]
    public void Fids_are_bounded()
    {
        NinePDriver client = Mount(out VirtioNineP device);
        uint fid = 1;
        while (client.Walk(0, fid) == 0)
        {
            fid++;
            Assert.True(fid <= 1 << 16);
        }

        Assert.Equal(-24, client.Walk(0, fid));
        client.Ok(Clunk, 1u);
        Assert.Equal(0, client.Walk(0, fid));
        client.Slot.Status = 0;
        Assert.Null(device.MoveBlocker);
    }

    /// <summary>
    /// Requests at random, most of them nearly right, in a folder with links that lead out: nothing outside changes or is read, and the
    /// server goes on.
    /// </summary>
    [Fact]
    public void Fuzz_hostile_client()
    {
        var run = new FuzzRun(programs: 40);
        string secret = Path.Combine(_host.FullName, "secret");
        byte[] types =
        [
            8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 100, 104, 108, 110, 110, 110, 116, 118, 120, 122,
        ];
        string[] names = ["a", "b", "out", "abs", "..", ".", "", "secret", "x/y", "\0", "a\0", new string('n', 300), "../secret"];
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));

            // .NET cannot delete what has a name that is not UTF-8.
            Assert.True(TryRun("find", _folder, "-mindepth", "1", "-delete"));
            File.CreateSymbolicLink(HostPath("out"), "..");
            File.CreateSymbolicLink(HostPath("abs"), secret);
            File.WriteAllText(HostPath("a"), "a");
            FolderSecurity security = random.Next(2) == 0 ? FolderSecurity.None : FolderSecurity.MappedXattr;
            NinePDriver client = Mount(out VirtioNineP device, packed: random.Next(2) == 0, security: security);
            for (int i = 0; i < 300 && device.Fault == null; i++)
            {
                byte type = types[random.Next(types.Length)];
                var fields = new List<object>();
                for (int n = random.Next(9); n >= 0; n--)
                {
                    fields.Add(random.Next(6) switch
                    {
                        0 => names[random.Next(names.Length)],
                        1 => (ulong)random.Next(5),
                        2 => (uint)random.NextInt64(uint.MaxValue),
                        3 => (ushort)random.Next(4),
                        _ => (uint)random.Next(6),
                    });
                }

                // Requests of the right form half of the time.
                if (random.Next(2) == 0)
                {
                    (type, fields) = Likely(random, names);
                }

                byte[] message = [.. NinePDriver.Message(type, (ushort)random.Next(3), [.. fields])];
                byte[] answer = client.Raw(message, (uint)random.Next(11, 40_000));
                Assert.DoesNotContain("outside", Encoding.ASCII.GetString(answer), StringComparison.Ordinal);
            }

            client.Slot.Status = 0;
            Assert.Equal("outside", File.ReadAllText(secret));
            Assert.Equal(["other", "secret", "shared"], Directory.EnumerateFileSystemEntries(_host.FullName).Select(Path.GetFileName)
                .Order(StringComparer.Ordinal));
            device.Config.Dispose();
        }

        _output.WriteLine(run.Figure("9p", "300 requests each"));
    }

    private static (byte Type, List<object> Fields) Likely(Random random, string[] names)
    {
        string Name() => names[random.Next(names.Length)];
        uint Fid() => (uint)random.Next(6);
        return random.Next(12) switch
        {
            0 or 1 or 2 => (110, [Fid(), Fid(), (ushort)2, Name(), Name()]),
            3 => (Open, [Fid(), (uint)random.Next(4)]),
            4 => (Create, [Fid(), Name(), (uint)random.Next(4) | 0x40, 0x1B6u, 0u]),
            5 => (Read, [Fid(), (ulong)random.Next(3), (uint)random.Next(5000)]),
            6 => (Write, [Fid(), (ulong)random.Next(3), 4u, "evil"u8.ToArray()]),
            7 => (76, [Fid(), Name(), (uint)random.Next(2) * 0x200]),
            8 => (74, [Fid(), Name(), Fid(), Name()]),
            9 => (16, [Fid(), Name(), "../" + Name(), 0u]),
            10 => (Clunk, [Fid()]),
            _ => (26, [Fid(), 8u, 0u, 0u, 0u, 0ul, 0ul, 0ul, 0ul, 0ul]),
        };
    }

    private NinePDriver Mount(
        out VirtioNineP device, bool packed = false, bool indirect = false, bool eventIndex = false, bool readOnly = false,
        FolderSecurity security = FolderSecurity.None)
    {
        device = Make(_folder, readOnly, Ram, out VirtioMmio slot, security);
        _configs.Add(device.Config);
        var client = new NinePDriver(device, slot, Ram, packed, indirect, eventIndex);
        client.Mount();
        return client;
    }

    internal static VirtioNineP Make(
        string folder, bool readOnly, IDmaMemory ram, out VirtioMmio slot, FolderSecurity security = FolderSecurity.None)
    {
        SharedFolder? shared = VirtioNinePConfig.TryOpen(folder, readOnly, security, out string error);
        Assert.True(shared != null, error);
        var device = new VirtioNineP(ram, new VirtioNinePConfig("", "tag", shared)
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        return device;
    }

    private string HostPath(string name) => Path.Combine(_folder, name);

    private static uint Mode(NinePDriver client, uint fid) =>
        BinaryPrimitives.ReadUInt32LittleEndian(client.Ok(24, fid, 0x7FFul).AsSpan(21));

    private static ulong Inode(NinePDriver client, uint fid) =>
        BinaryPrimitives.ReadUInt64LittleEndian(client.Ok(24, fid, 0x7FFul).AsSpan(13))
            & 0xFFFF_FFFF;

    private ulong InodeOf(string name)
    {
        using Process stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%i", HostPath(name)]) { RedirectStandardOutput = true })!;
        return ulong.Parse(stat.StandardOutput.ReadToEnd(), System.Globalization.CultureInfo.InvariantCulture) & 0xFFFF_FFFF;
    }

    private static bool TryRun(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
