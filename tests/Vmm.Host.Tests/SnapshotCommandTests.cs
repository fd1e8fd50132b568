using Vmm.Emulation;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Host.Tests;

/// <summary><c>vmm snapshot</c> as a person uses it.</summary>
public sealed class SnapshotCommandTests : IDisposable
{
    private const ulong MemoryBytes = 1 << 20;

    private readonly string _folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public SnapshotCommandTests() => Directory.CreateDirectory(_folder);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string StoreFolder => Path.Combine(_folder, "snapshots");

    private void Save(string tag, RamCompression compression = RamCompression.None)
    {
        using var ram = new GuestMemory(new GuestPhysicalAddress(0x4000_0000), MemoryBytes);
        ram.Span(ram.Start + 0x8000, 3).Fill(1);
        using SnapshotSave save = new SnapshotStore(StoreFolder).Save(tag, replace: false);
        save.WriteState([new SavedUnit("psci", 1, new byte[4])]);
        save.WriteRam(ram, compression);
        var machine = new SavedMachine(
            "virt", MemoryBytes, ram.Start.Value, true, false, null, null, "cortex-a57", 0x411FD070, 44, [], 1, 0, 1, 1, 2, 1);
        save.Commit("test", DateTimeOffset.UtcNow, 3_600_000ul * 62_500, machine, [new(0, "cpu-0", true), new(1, "extra", false)]);
    }

    private async Task<(int ExitCode, string Output, string Errors)> Run(string command, params string[] tags) =>
        await VmmProcess.RunAsync(["snapshot", command, _folder, .. tags]);

    [Fact]
    public async Task Snapshots_are_listed_described_verified_and_removed()
    {
        Assert.Equal((0, "There is no snapshot available.\n", ""), await Run("list"));
        Save("one");
        Save("two", RamCompression.Zstd);
        (int code, string output, string errors) = await Run("list");
        Assert.Equal((0, ""), (code, errors));
        Assert.Matches(
            @"^TAG +SIZE +RAM +CPUS +SAVED +GUEST TIME\none +0\.0 MiB +1 MiB +1 of 2 +\d{4}-\S+ \S+ +01:00:00\.000\ntwo .*\n$", output);

        (code, output, errors) = await Run("info", "two");
        Assert.Equal((0, ""), (code, errors));
        Assert.Contains("1 MiB, zstd", output);
        Assert.Contains("cpus=1,maxcpus=2,sockets=1,clusters=1,cores=2,threads=1", output);
        Assert.Contains("cpu-0 (CPU 0), extra (CPU 1, disabled)", output);
        Assert.Contains("psci, schema 1, 4 bytes", output);

        (code, output, errors) = await Run("verify");
        Assert.Equal((0, ""), (code, errors));
        Assert.Equal("one: whole; 0.1 MiB of 1 MiB of RAM are not zero\ntwo: whole; 0.1 MiB of 1 MiB of RAM are not zero\n", output);

        Assert.Equal((0, "", ""), await Run("rm", "one"));
        Assert.Equal((1, "", "vmm: Snapshot 'one' does not exist\n"), await Run("rm", "one"));
    }

    [Fact]
    public async Task Damaged_cut_and_foreign_snapshots_are_named_in_a_line_each_and_the_others_are_read()
    {
        foreach (string tag in (string[])["bit", "cut", "foreign", "whole"])
        {
            Save(tag);
        }

        string ram = Path.Combine(StoreFolder, "bit", "ram-1");
        using (FileStream file = File.OpenWrite(ram))
        {
            file.Position = (long)MemoryBytes - 1;
            file.WriteByte(0x20);
        }

        using (FileStream file = File.OpenWrite(Path.Combine(StoreFolder, "cut", "ram-1.map")))
        {
            file.SetLength(5);
        }

        File.WriteAllText(Path.Combine(StoreFolder, "foreign", "manifest.json"), "{\"name\": \"a web application\"}\n");
        File.WriteAllText(Path.Combine(StoreFolder, "a file"), "");
        Directory.CreateDirectory(Path.Combine(StoreFolder, "nothing"));

        (int code, string output, string errors) = await Run("verify");
        Assert.Equal((1, "whole: whole; 0.1 MiB of 1 MiB of RAM are not zero\n"), (code, output));
        string[] lines = errors.TrimEnd('\n').Split('\n');
        Assert.Equal("vmm: snapshot 'bit': block 15 of RAM is damaged: it is not zero", lines[0]);
        Assert.Equal("vmm: snapshot 'cut': its file 'ram-1.map' has 5 bytes, not 256", lines[1]);
        Assert.Equal("vmm: snapshot 'foreign': manifest.json is damaged: its checksum is wrong", lines[2]);
        Assert.Equal(3, lines.Length);

        // What a look at the manifest shows.
        (code, output, _) = await Run("list");
        Assert.Equal((0, 5), (code, output.TrimEnd('\n').Split('\n').Length));
        Assert.Contains("its checksum is wrong", output);

        Assert.Equal((0, "", ""), await Run("rm", "bit", "cut", "foreign"));
        Assert.Equal((1, "", "vmm: there is no folder '/nosuch'\n"), await VmmProcess.RunAsync(["snapshot", "list", "/nosuch"]));
        (code, _, errors) = await Run("info", "../one");
        Assert.Equal(1, code);
        Assert.Contains("is no name for a snapshot", errors);
    }
}
