using System.Text;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>Whatever happens to the files: one line that says what is wrong, or the snapshot as it was.</summary>
public sealed class SnapshotDamageTests : SnapshotFixture
{
    // In each of two forms.
    private const int Flips = 5000;

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Verify_finds_every_flipped_bit_of_every_file(RamCompression compression)
    {
        GuestMemory other = Ram(1);
        other.Span(s_start + (2 * RamImage.BlockSize), 1)[0] ^= 1;
        Save("parent", 1, other, compression);
        Save("one", 1, compression, parent: "parent");
        using (Snapshot snapshot = Store.Open("one"))
        {
            Store.KeepWorkingSet(snapshot, [2, 1]);
        }

        int seed = Environment.TickCount;
        var random = new Random(seed);
        string[] files = FilesOf("one");
        for (int i = 0; i < Flips; i++)
        {
            // Each file as often as the others: the manifest is small.
            string file = files[random.Next(files.Length)];
            byte[] whole = File.ReadAllBytes(file);
            int bit = random.Next(whole.Length * 8);
            Write(file, bit / 8, (byte)(whole[bit / 8] ^ (1 << (bit % 8))));
            try
            {
                string message = Failure("one").Message;
                Assert.Contains("'one'", message);
                Assert.DoesNotContain('\n', message);
            }
            catch (Exception e) when (e is not SnapshotException)
            {
                Assert.Fail($"seed {seed}: bit {bit} of {Path.GetFileName(file)}: {e.Message}");
            }

            Write(file, bit / 8, whole[bit / 8]);
        }

        RequireIs("one", 1);
    }

    /// <summary>The device /dev/full is a disk without room; each file is on it in turn.</summary>
    [Theory]
    [InlineData("state-2")]
    [InlineData("ram-2")]
    [InlineData("ram-2.map")]
    [InlineData(SnapshotFormat.NewManifest)]
    public void Disk_that_is_full_leaves_what_was_there_and_says_so(string file)
    {
        Save("one", 1);
        string[] before = FilesOf("one");
        using (SnapshotSave save = Store.Save("one", replace: true))
        {
            File.CreateSymbolicLink(Path.Combine(Folder, "one", file), "/dev/full");
            SnapshotException full = Assert.Throws<SnapshotException>(() =>
            {
                save.WriteState(Units(2));
                save.WriteRam(Ram(2), RamCompression.None);
                save.Commit("test", DateTimeOffset.UnixEpoch, 12345, Machine, Cpus);
            });
            Assert.Equal(SnapshotFault.Host, full.Fault);
            Assert.Equal("the snapshot cannot be written: No space left on device", full.Message);
        }

        Assert.Equal(before, FilesOf("one"));
        RequireIs("one", 1);
    }

    private static void Write(string file, int at, byte value)
    {
        using FileStream stream = File.OpenWrite(file);
        stream.Position = at;
        stream.WriteByte(value);
    }

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Files_that_are_cut_longer_or_missing_are_named(RamCompression compression)
    {
        Save("one", 1, compression);
        foreach (string file in FilesOf("one"))
        {
            byte[] whole = File.ReadAllBytes(file);
            string name = Path.GetFileName(file);
            foreach (int length in (int[])[0, 1, whole.Length / 2, whole.Length - 1])
            {
                File.WriteAllBytes(file, whole[..length]);
                Assert.Contains(name, Failure("one").Message);
            }

            File.WriteAllBytes(file, [.. whole, 0]);
            Assert.Contains(name, Failure("one").Message);
            File.Delete(file);
            Assert.Contains(name == SnapshotFormat.Manifest ? "does not exist" : $"'{name}' is missing", Failure("one").Message);
            File.WriteAllBytes(file, whole);
        }

        RequireIs("one", 1);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("{\"format\":1}")]
    [InlineData("[1,2,3]")]
    [InlineData("null")]
    [InlineData("not JSON at all")]
    [InlineData("{\"format\":0}", "format 0, but this program reads 1 to 3")]
    [InlineData("{\"format\":4}", "format 4, but this program reads 1 to 3")]
    [InlineData("{\"format\":\"one\"}")]
    public void Manifests_of_something_else_are_refused(string json, string message = "manifest.json")
    {
        Save("one", 1);
        string file = FilesOf("one").Single(f => f.EndsWith(SnapshotFormat.Manifest, StringComparison.Ordinal));
        File.WriteAllText(file, json);
        Assert.Contains("manifest.json is damaged: its checksum is wrong", Failure("one").Message);

        // The same with a checksum that is right.
        File.WriteAllBytes(file, Sealed(json.TrimEnd('}')));
        string found = Failure("one").Message;
        Assert.Contains(message, found);
        Assert.DoesNotContain('\n', found);
    }

    private static byte[] Sealed(string body) => Encoding.UTF8.GetBytes(
        $"{body},\n  \"crc32c\": \"{Crc32C.Of(Encoding.UTF8.GetBytes(body)):x8}\"\n}}\n");

    /// <summary>Numbers that a file claims make no room before they are held against what is there.</summary>
    [Theory]
    [InlineData("\"generation\": 1,", "\"generation\": 99999999,")]
    [InlineData("\"generation\": 1,", "\"generation\": -1,")]
    [InlineData("\"memoryBytes\": 249856", "\"memoryBytes\": 18446744073709547520")]
    [InlineData("\"memoryBytes\": 249856", "\"memoryBytes\": 1099511627776")]
    [InlineData("\"memoryBytes\": 249856", "\"memoryBytes\": 0")]
    [InlineData("\"cores\": 4", "\"cores\": 2147483647")]
    [InlineData("\"cores\": 4", "\"cores\": -4")]
    [InlineData("\"length\": 249856", "\"length\": 9223372036854775807")]
    [InlineData("\"length\": 249856", "\"length\": -1")]
    [InlineData("\"compression\": \"none\"", "\"compression\": \"zstd\"")]
    [InlineData("\"compression\": \"none\"", "\"compression\": \"lzma\"")]
    [InlineData("\"compression\": \"none\"", "\"compression\": 1")]
    [InlineData("\"features\": [", "\"features\": [null,")]
    [InlineData("\"cpus\": [", "\"cpus\": [null,")]
    [InlineData("\"board\": \"virt\"", "\"board\": null")]
    public void Hostile_manifests_are_refused_and_take_no_memory(string what, string by)
    {
        Save("one", 1);
        string file = FilesOf("one").Single(f => f.EndsWith(SnapshotFormat.Manifest, StringComparison.Ordinal));
        string text = File.ReadAllText(file);
        Assert.Contains(what, text);
        string body = text[..text.LastIndexOf(',')].Replace(what, by, StringComparison.Ordinal);
        File.WriteAllBytes(file, Sealed(body));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("'one'", Failure("one").Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    /// <summary>A manifest that names lengths which are right, of files whose apparent size is large and which hold nothing.</summary>
    [Fact]
    public void State_that_is_huge_is_refused_without_being_read()
    {
        Save("one", 1);
        string file = FilesOf("one").Single(f => f.EndsWith("state-1", StringComparison.Ordinal));
        using (FileStream state = File.OpenWrite(file))
        {
            state.SetLength(1L << 36);
        }

        string manifest = FilesOf("one").Single(f => f.EndsWith(SnapshotFormat.Manifest, StringComparison.Ordinal));
        string text = File.ReadAllText(manifest);
        long was = text.Contains("\"state\"", StringComparison.Ordinal) ? LengthOfState(text) : 0;
        File.WriteAllBytes(manifest, Sealed(text[..text.LastIndexOf(',')].Replace(
            $"\"length\": {was}", $"\"length\": {1L << 36}", StringComparison.Ordinal)));
        Assert.Contains("cannot be", Failure("one").Message);
    }

    private static long LengthOfState(string manifest)
    {
        using var json = System.Text.Json.JsonDocument.Parse(manifest);
        return json.RootElement.GetProperty("state").GetProperty("length").GetInt64();
    }

    [Fact]
    public void Manifest_is_JSON_for_any_program()
    {
        Save("one", 1);
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(FilesOf("one")[0]));
        Assert.Equal(2, json.RootElement.GetProperty("format").GetInt32());
        Assert.Equal(8, json.RootElement.GetProperty("crc32c").GetString()!.Length);
    }

    /// <summary>The words of a snapshot's files are shown to people: no line ends or control characters of theirs.</summary>
    [Fact]
    public void Names_in_a_hostile_manifest_are_shown_on_one_line()
    {
        Save("one", 1);
        string file = FilesOf("one").Single(f => f.EndsWith(SnapshotFormat.Manifest, StringComparison.Ordinal));
        string text = File.ReadAllText(file);
        File.WriteAllBytes(file, Sealed(text[..text.LastIndexOf(',')].Replace(
            "\"board\": \"virt\"", "\"board\": \"a\\n\\u001b[2Jb\"", StringComparison.Ordinal)));
        using Snapshot snapshot = Store.Open("one");
        string message = Assert.Throws<SnapshotException>(() => snapshot.RequireFits(Machine)).Message;
        Assert.DoesNotContain(message, char.IsControl);
    }
}
