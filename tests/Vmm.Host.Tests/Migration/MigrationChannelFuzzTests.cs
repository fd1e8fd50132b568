using System.Buffers.Binary;
using System.Net.Sockets;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using Vmm.Emulation.State;
using Xunit.Abstractions;
using ZstdSharp;
using static Vmm.Host.Tests.Migration.FuzzedReceiver;

namespace Vmm.Host.Tests.Migration;

/// <summary>
/// What <see cref="MigrationFuzzTests"/> does, with pages that come by channels (multifd), and with files that RAM is mapped from
/// (mapped-ram). The same environment variables say how long.
/// </summary>
public sealed class MigrationChannelFuzzTests(ITestOutputHelper output) : IDisposable
{
    private const int ShortRun = 150;
    private const int ProveEvery = 30;

    // As many as a receiver waits for by itself.
    private const int Channels = 2;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-fuzz-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Whatever_comes_by_channels_ends_in_one_line()
    {
        Sent[][] good = Spread(MigrationRecords.Split(await RecordAsync(Path.Combine(_folder, "stream"))));
        await FuzzAsync(output, "channels", ShortRun, ProveEvery, [MigrationCapability.Multifd], async (receiver, right, random, name) =>
        {
            int port = await ReceiveAsync(receiver, "tcp:127.0.0.1:0", name);
            byte[][] links = right ? [.. good.Select(MigrationRecords.Join)] : Spoil(good, random);
            var sending = new List<Task>();
            foreach (byte[] bytes in links)
            {
                // The stream is the first that connects.
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    await socket.ConnectAsync("127.0.0.1", port);
                }
                catch (SocketException)
                {
                    // The receiver wants no more channels.
                }

                // A sender that means well closes its channels last.
                sending.Add(SendAsync(socket, bytes, right && sending.Count > 0 ? sending[0] : Task.CompletedTask));
            }

            await Task.WhenAll(sending).WaitAsync(Patience.Limit);
        });
    }

    [Fact]
    public async Task Whatever_is_in_a_file_that_is_mapped_ends_in_one_line()
    {
        string path = Path.Combine(_folder, "saved");
        byte[] good = await RecordAsync(path, MigrationCapability.MappedRam);
        MigrationCapability[] capabilities = [MigrationCapability.MappedRam];
        await FuzzAsync(output, "mapped files", ShortRun, ProveEvery, capabilities, async (receiver, right, random, name) =>
        {
            // A guest may still run from the one before.
            File.Delete(path);
            await File.WriteAllBytesAsync(path, right ? good : Spoil(good, random));
            await ReceiveAsync(receiver, $"file:{path}", name);
        });
    }

    private static async Task SendAsync(Socket socket, byte[] bytes, Task before)
    {
        using (socket)
        {
            try
            {
                for (int at = 0; at < bytes.Length;)
                {
                    at += await socket.SendAsync(bytes.AsMemory(at));
                }

                await before;
                socket.Shutdown(SocketShutdown.Send);
                byte[] said = new byte[4096];
                while (await socket.ReceiveAsync(said) > 0)
                {
                }
            }
            catch (SocketException)
            {
                // The receiver has heard enough.
            }
        }
    }

    // The stream, and the channels: a page goes by the channel of its number, so that its last copy comes last.
    private static Sent[][] Spread(Sent[] records)
    {
        MigrationHello hello = MigrationHello.Parse(records[0].Payload) with { Channels = Channels };
        var links = new List<List<Sent>> { new() { records[0] with { Payload = hello.ToJson() } } };
        for (int channel = 0; channel < Channels; channel++)
        {
            links.Add([new Sent(MigrationRecordKind.Channel, (ulong)channel, hello.Session.ToByteArray())]);
        }

        using var compressor = new Compressor(1);
        foreach (Sent record in records[1..^2])
        {
            if (record.Kind != MigrationRecordKind.Pages)
            {
                links[0].Add(record);
                continue;
            }

            ulong pages = (ulong)record.Payload.Length / GuestMemory.PageSize;
            byte[] frame = compressor.Wrap(record.Payload).ToArray();
            links[1 + (int)(record.Argument / 64 % Channels)].Add(frame.Length >= record.Payload.Length ? record
                : new Sent(MigrationRecordKind.CompressedPages, record.Argument | (pages << 32), frame));
        }

        links.ForEach(l => l.Add(new Sent(MigrationRecordKind.Sync, 1, [])));
        links[0].AddRange([.. records[^2..], new Sent(MigrationRecordKind.Commit, 1000, [])]);
        return [.. links.Select(l => l.ToArray())];
    }

    private static byte[][] Spoil(Sent[][] good, Random random)
    {
        List<List<Sent>> links = [.. good.Select(l => l.ToList())];
        int at = random.Next(links.Count);
        List<Sent> link = links[at];

        // A channel that does not come is waited for longer than a fuzzer has time: its first record stays, and so do its bytes.
        int safe = at == 0 ? 0 : 1;
        int safeBytes = at == 0 ? 0 : MigrationRecords.Join(link[..1]).Length;
        int record = random.Next(safe, link.Count);
        switch (random.Next(8))
        {
            case 0:
                link[record] = link[record] with { Argument = Hostile(random) };
                break;
            case 1:
                link[record] = link[record] with { Kind = (MigrationRecordKind)random.Next(1, 17) };
                break;
            case 2:
                link.Insert(random.Next(safe, link.Count), link[record]);
                break;
            case 3:
                byte[] payload = RandomBytes(random, random.Next(link[record].Payload.Length + 1));
                link[record] = link[record] with { Payload = payload };
                break;
            case 4:
                // A record that belongs to another link.
                link.Insert(record, links[(at + 1) % links.Count][random.Next(links[(at + 1) % links.Count].Count)]);
                break;
        }

        List<byte[]> bytes = [.. links.Select(MigrationRecords.Join)];
        switch (random.Next(6))
        {
            case 0:
                bytes[at] = bytes[at][..random.Next(safeBytes, bytes[at].Length)];
                break;
            case 1:
                bytes[at][random.Next(safeBytes, bytes[at].Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 2:
                bytes.Insert(1 + random.Next(Channels), RandomBytes(random, random.Next(2000)));
                break;
            case 3:
                bytes.Insert(1 + random.Next(Channels), bytes[1 + random.Next(Channels)]);
                break;
        }

        return [.. bytes];
    }

    private static byte[] Spoil(byte[] good, Random random)
    {
        const int HeadSize = 32, HeadChecksumAt = 28;
        byte[] bytes = [.. good];
        switch (random.Next(6))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                return [.. bytes, .. RandomBytes(random, random.Next(1, 10_000))];
            case 2:
                // A head that says something else, with a right checksum.
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8 + (4 * random.Next(5))), (uint)Hostile(random));
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(HeadChecksumAt), Crc32C.Of(bytes.AsSpan(0, HeadChecksumAt)));
                return bytes;
            case 3:
                RandomBytes(random, HeadSize).CopyTo(bytes, 0);
                return bytes;
            default:
                // The last of it is map, state and manifest.
                int from = random.Next(2) == 0 ? 0 : bytes.Length - Math.Min(bytes.Length, 100_000);
                for (int flips = random.Next(1, 5); flips > 0; flips--)
                {
                    bytes[random.Next(from, bytes.Length)] ^= (byte)(1 << random.Next(8));
                }

                return bytes;
        }
    }
}
