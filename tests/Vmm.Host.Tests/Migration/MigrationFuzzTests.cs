using System.Buffers.Binary;
using System.Net.Sockets;
using Vmm.Emulation;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using Vmm.Emulation.State;
using Xunit.Abstractions;
using static Vmm.Host.Tests.Migration.FuzzedReceiver;

namespace Vmm.Host.Tests.Migration;

/// <summary>
/// A receiver, with all its actors, whose senders mean no good: streams that are damaged, cut, mixed up, forged with right checksums, too
/// long, or no streams at all. Each ends in one line and leaves the receiver waiting; what is taken for a guest is one.
/// </summary>
public sealed class MigrationFuzzTests(ITestOutputHelper output) : IDisposable
{
    private const int ShortRun = 300;
    private const int ProveEvery = 50;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-fuzz-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Whatever_a_sender_sends_ends_in_one_line_and_the_next_one_is_taken()
    {
        byte[] good = await RecordAsync(Path.Combine(_folder, "stream"));
        Sent[] records = MigrationRecords.Split(good);
        await FuzzAsync(output, "migration", ShortRun, ProveEvery, [], (receiver, right, random, name) =>
        {
            byte[] bytes = right ? Whole(good) : Spoil(good, records, random);
            return SendAsync(receiver, bytes, listens: right || random.Next(4) != 0, random, name);
        });
    }

    // Sends it, in pieces. A sender that listens reads what is answered until the receiver closes the link.
    private static async Task SendAsync(VmSession receiver, byte[] bytes, bool listens, Random random, string name)
    {
        int port = await ReceiveAsync(receiver, "tcp:127.0.0.1:0", name);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", port);
        using var patience = new CancellationTokenSource(Patience.Limit);
        try
        {
            for (int at = 0; at < bytes.Length;)
            {
                int piece = Math.Min(bytes.Length - at, random.Next(4) == 0 ? random.Next(1, 100) : 1 << 20);
                await socket.SendAsync(bytes.AsMemory(at, piece), patience.Token);
                at += piece;
            }

            socket.Shutdown(SocketShutdown.Send);
            if (listens)
            {
                byte[] said = new byte[4096];
                while (await socket.ReceiveAsync(said, patience.Token) > 0)
                {
                }
            }
        }
        catch (SocketException)
        {
            // The receiver has heard enough.
        }
    }

    private static byte[] Whole(byte[] good) =>
        [.. good, .. MigrationRecords.Join([new Sent(MigrationRecordKind.Commit, 1000, [])])[MigrationRecords.MagicSize..]];

    private static byte[] Spoil(byte[] good, Sent[] records, Random random)
    {
        switch (random.Next(8))
        {
            case 0:
                byte[] flipped = Whole(good);
                for (int flips = random.Next(1, 5); flips > 0; flips--)
                {
                    flipped[random.Next(flipped.Length)] ^= (byte)(1 << random.Next(8));
                }

                return flipped;
            case 1:
                return Whole(good)[..random.Next(good.Length)];
            case 2:
                int from = random.Next(good.Length), to = random.Next(good.Length);
                return [.. good[..from], .. good[to..]];
            case 3:
                return [.. random.Next(2) == 0 ? good[..random.Next(good.Length)] : [], .. RandomBytes(random, random.Next(1 << 20))];
            case 4:
                return Promise(records, random);
            case 5:
                return MigrationRecords.Join(SpoilUnits(records, random));
            default:
                var forged = new List<Sent>(records);
                for (int changes = random.Next(1, 4); changes > 0; changes--)
                {
                    Forge(forged, random);
                }

                if (random.Next(2) == 0)
                {
                    forged.Add(new Sent(MigrationRecordKind.Commit, Hostile(random), []));
                }

                return MigrationRecords.Join(forged);
        }
    }

    // A record with a length that is more than what comes, or than what can be.
    private static byte[] Promise(Sent[] records, Random random)
    {
        byte[] header = new byte[MigrationRecord.HeaderSize];
        header[0] = (byte)random.Next(16);
        BinaryPrimitives.WriteInt32LittleEndian(
            header.AsSpan(4), random.Next(3) switch { 0 => random.Next(), 1 => -random.Next(), _ => random.Next(256 << 20) });
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), Hostile(random));
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), Crc32C.Of(header.AsSpan(0, 20)));
        int flood = random.Next(20) == 0 ? 48 << 20 : random.Next(1 << 20);
        return [.. MigrationRecords.Join(records[..random.Next(records.Length)]), .. header, .. new byte[flood]];
    }

    // Records with right checksums that say something else.
    private static void Forge(List<Sent> records, Random random)
    {
        int at = random.Next(records.Count);
        Sent record = records[at];
        switch (random.Next(7))
        {
            case 0:
                records[at] = record with { Argument = Hostile(random) };
                break;
            case 1:
                records[at] = record with { Kind = (MigrationRecordKind)random.Next(1, 14) };
                break;
            case 2:
                records.RemoveAt(at);
                break;
            case 3:
                records.Insert(random.Next(records.Count), record);
                break;
            case 4:
                records[at] = record with { Payload = Changed(record.Payload, random) };
                break;
            case 5:
                records[at] = record with { Payload = record.Payload[..random.Next(record.Payload.Length + 1)] };
                break;
            default:
                records.Insert(random.Next(records.Count), new Sent(
                    (MigrationRecordKind)random.Next(1, 14), Hostile(random),
                    RandomBytes(random, random.Next(3) * random.Next(GuestMemory.PageSize * 2))));
                break;
        }

        if (records.Count == 0)
        {
            records.Add(record);
        }
    }

    // The state of a machine that never was, with right checksums.
    private static Sent[] SpoilUnits(Sent[] records, Random random) => [.. records.Select(record =>
    {
        if (record.Kind != MigrationRecordKind.State)
        {
            return record;
        }

        List<SavedUnit> units = [.. Archive.Read(record.Payload)];
        int at = random.Next(units.Count);
        SavedUnit unit = units[at];
        switch (random.Next(5))
        {
            case 0:
                units.RemoveAt(at);
                break;
            case 1:
                units[at] = unit with { Version = random.Next(-1, 5) };
                break;
            case 2:
                units[at] = unit with { Id = units[random.Next(units.Count)].Id };
                break;
            default:
                units[at] = unit with { Fields = Changed(unit.Fields.ToArray(), random) };
                break;
        }

        using var archive = new MemoryStream();
        Archive.Write(archive, units);
        return record with { Payload = archive.ToArray() };
    })];

    private static byte[] Changed(byte[] bytes, Random random)
    {
        byte[] changed = [.. bytes];
        for (int changes = random.Next(1, 4); changes > 0 && changed.Length > 0; changes--)
        {
            changed[random.Next(changed.Length)] = random.Next(3) switch { 0 => 0, 1 => 0xFF, _ => (byte)random.Next(256) };
        }

        return changed;
    }
}
