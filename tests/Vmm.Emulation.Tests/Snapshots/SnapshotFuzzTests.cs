using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>
/// Folders of snapshots, of which one is a difference from another, whose files are damaged, cut, longer, mixed up, and forged so that
/// checksums are right again. Whoever reads them finds nothing wrong, or says in one line what is (<see cref="FuzzRun"/>).
/// </summary>
public sealed partial class SnapshotFuzzTests(ITestOutputHelper output) : SnapshotFixture
{
    private static readonly string[] s_hostile =
    [
        "0", "1", "-1", "2147483647", "2147483648", "4294967295", "9223372036854775807", "18446744073709551615", "1e400", "null", "\"\"",
        "[]", "{}", "true", "65536", "4096", "99999999999999999999",
    ];

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Files_that_mean_no_good_are_refused_in_one_line(RamCompression compression)
    {
        GuestMemory other = Ram(1);
        other.Span(s_start + (2 * RamImage.BlockSize), 1)[0] ^= 1;
        Save("parent", 1, other, compression);
        Save("one", 1, compression, parent: "parent");
        Dictionary<string, byte[]> whole = FilesOf("parent").Concat(FilesOf("one")).ToDictionary(f => f, File.ReadAllBytes);
        using GuestMemory ram = Empty();
        var run = new FuzzRun(300);
        int refused = 0;
        long most = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            for (int changes = random.Next(1, 3); changes > 0; changes--)
            {
                Spoil([.. whole.Keys], random);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            refused += IsRefused(ram, run.Name(program)) ? 1 : 0;
            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
            foreach ((string file, byte[] bytes) in whole)
            {
                File.WriteAllBytes(file, bytes);
            }
        }

        RequireIs("one", 1);
        output.WriteLine(run.Figure("snapshots", $"{refused} refused, {most >> 10} KiB allocated at most"));
        Assert.InRange(refused, 1, run.Next);
        Assert.InRange(most, 0, 16 << 20);
    }

    private bool IsRefused(GuestMemory ram, string name)
    {
        try
        {
            using Snapshot snapshot = Store.Open("one");
            snapshot.RequireFits(Machine);
            snapshot.ReadState();
            snapshot.LoadRam(ram);
            snapshot.Verify();
            return false;
        }
        catch (SnapshotException e)
        {
            Assert.True(e.Message.Length < 4096 && !e.Message.Any(char.IsControl), $"{name}: '{e.Message}'");
            return true;
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            throw new InvalidOperationException(name, e);
        }
    }

    private static void Spoil(string[] files, Random random)
    {
        // Those that an earlier change has left.
        files = Array.FindAll(files, File.Exists);
        string file = files[random.Next(files.Length)];
        byte[] bytes = File.ReadAllBytes(file);
        if (Path.GetFileName(file) == SnapshotFormat.Manifest && random.Next(2) == 0)
        {
            File.WriteAllBytes(file, Forge(Encoding.UTF8.GetString(bytes), random));
            return;
        }

        string was = Checksum(bytes);
        switch (random.Next(7))
        {
            case 0:
                bytes = bytes[..random.Next(bytes.Length + 1)];
                break;
            case 1:
                bytes = [.. bytes, .. new byte[random.Next(1 << 16)]];
                break;
            case 2:
                bytes = File.ReadAllBytes(files[random.Next(files.Length)]);
                break;
            case 3:
                File.Delete(file);
                return;
            default:
                for (int changes = random.Next(1, 5); changes > 0 && bytes.Length > 0; changes--)
                {
                    bytes[random.Next(bytes.Length)] = random.Next(3) switch { 0 => 0, 1 => 0xFF, _ => (byte)random.Next(256) };
                }

                break;
        }

        File.WriteAllBytes(file, bytes);
        string manifest = Path.Combine(Path.GetDirectoryName(file)!, SnapshotFormat.Manifest);
        if (random.Next(2) == 0 && manifest != file && File.Exists(manifest))
        {
            // What the manifest says of the file is right again.
            string text = File.ReadAllText(manifest);
            if (text.LastIndexOf(',') is > 0 and int end)
            {
                File.WriteAllBytes(manifest, Sealed(text[..end].Replace(was, Checksum(bytes), StringComparison.Ordinal)));
            }
        }
    }

    // A manifest with other numbers, whose own checksum is right.
    private static byte[] Forge(string text, Random random)
    {
        string body = text.LastIndexOf(',') is > 0 and int end ? text[..end] : text;
        MatchCollection numbers = Numbers().Matches(body);
        if (numbers.Count == 0)
        {
            return Sealed(body);
        }

        Match chosen = numbers[random.Next(numbers.Count)];
        return Sealed(body[..chosen.Index] + s_hostile[random.Next(s_hostile.Length)] + body[(chosen.Index + chosen.Length)..]);
    }

    private static string Checksum(byte[] bytes) => Crc32C.Of(bytes).ToString("x8", CultureInfo.InvariantCulture);

    private static byte[] Sealed(string body) =>
        Encoding.UTF8.GetBytes($"{body},\n  \"crc32c\": \"{Checksum(Encoding.UTF8.GetBytes(body))}\"\n}}\n");

    [GeneratedRegex(@"(?<=: )(-?\d+|""[^""]*""|true|false|null)")]
    private static partial Regex Numbers();
}
