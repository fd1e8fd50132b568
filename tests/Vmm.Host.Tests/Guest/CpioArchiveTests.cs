using System.Globalization;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Host.Tests.Guest;

public sealed class CpioArchiveTests
{
    [Fact]
    public void CpioArchive_of_each_kind_parses_back()
    {
        var archive = new CpioArchive();
        archive.AddDirectory("dev");
        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddFile("odd", "12345"u8);
        archive.AddFile("run", [], 0x1ED);
        archive.AddSymbolicLink("sh", "busybox");

        IReadOnlyList<CpioEntry> entries = CpioEntry.ParseAll(archive.ToArray());

        Assert.Equal(
            [
                ("dev", 0x41EDu, 0u, 0u, ""), ("dev/console", 0x2180u, 5u, 1u, ""), ("odd", 0x81A4u, 0u, 0u, "12345"),
                ("run", 0x81EDu, 0u, 0u, ""), ("sh", 0xA1FFu, 0u, 0u, "busybox"),
            ],
            entries.Select(e => (e.Name, e.Mode, e.Major, e.Minor, Encoding.UTF8.GetString(e.Content))));
        Assert.Equal(entries.Count, entries.Select(e => e.Inode).Distinct().Count());
    }

    [Fact]
    public void CpioArchive_is_padded_to_512_bytes() => Assert.Equal(512, new CpioArchive().ToArray().Length);

    [Fact]
    public void Initramfs_holds_init_console_and_the_given_busybox()
    {
        byte[] busybox = [0x7F, (byte)'E', (byte)'L', (byte)'F', 1];
        Dictionary<string, CpioEntry> entries = CpioEntry.ParseAll(Initramfs.Build(busybox)).ToDictionary(e => e.Name);

        Assert.Equal(busybox, entries["bin/busybox"].Content);
        Assert.Equal(0x81EDu, entries["bin/busybox"].Mode);
        Assert.Equal((5u, 1u), (entries["dev/console"].Major, entries["dev/console"].Minor));
        Assert.Equal(0x81EDu, entries["init"].Mode);
        string init = Encoding.UTF8.GetString(entries["init"].Content);
        Assert.StartsWith("#!/bin/busybox sh\n", init, StringComparison.Ordinal);
        Assert.Contains($"PS1='{Initramfs.Prompt}'", init, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', init);
    }

    [Fact]
    public void Initramfs_of_the_same_busybox_is_the_same_bytes() => Assert.Equal(Initramfs.Build([1, 2, 3]), Initramfs.Build([1, 2, 3]));

    private sealed record CpioEntry(string Name, uint Inode, uint Mode, uint Major, uint Minor, byte[] Content)
    {
        public static List<CpioEntry> ParseAll(byte[] bytes)
        {
            var entries = new List<CpioEntry>();
            int at = 0;
            while (true)
            {
                Assert.Equal("070701", Encoding.ASCII.GetString(bytes, at, 6));
                uint Field(int index) => uint.Parse(Encoding.ASCII.GetString(bytes, at + 6 + (8 * index), 8), NumberStyles.HexNumber);
                int nameSize = (int)Field(11);
                string name = Encoding.UTF8.GetString(bytes, at + 110, nameSize - 1);
                Assert.Equal(0, bytes[at + 110 + nameSize - 1]);
                int content = (at + 110 + nameSize + 3) & ~3;
                int size = (int)Field(6);
                if (name == "TRAILER!!!")
                {
                    return entries;
                }

                entries.Add(new CpioEntry(name, Field(0), Field(1), Field(9), Field(10), bytes[content..(content + size)]));
                at = (content + size + 3) & ~3;
            }
        }
    }
}
