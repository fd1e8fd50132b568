using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Emulation;
using Vmm.Emulation.Migration;
using Vmm.Emulation.State;
using Xunit.Abstractions;

namespace Vmm.Host.Tests.Migration;

/// <summary>
/// Senders that want a receiver to take the host's memory: by what they promise, by what they send, by how many they are. The whole
/// process takes no more than the guest's RAM and a constant, and waits on.
/// </summary>
public sealed class MigrationMemoryTests(ITestOutputHelper output) : IDisposable
{
    // VmWithQmp's machine, and what a receiver may take besides: its state's limit in two copies, and what .NET has not collected yet.
    private const long RamBytes = 64 << 20;
    private const long Constant = 64 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-memory-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Hostile_senders_do_not_make_a_receiver_take_more_than_RAM_and_a_constant()
    {
        Sent[] good = MigrationRecords.Split(await RecordAsync());
        Sent hello = good[0];
        Sent state = good.Single(r => r.Kind == MigrationRecordKind.State);
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(_folder, "-incoming", "defer");
        long before = receiver.ResetPeak();
        foreach ((string name, Func<NetworkStream, Task> send) in new (string, Func<NetworkStream, Task>)[]
        {
            ("state of 256 MiB", s => PromiseAsync(s, hello, MigrationRecordKind.State, 256 << 20)),
            ("state of 20 MiB that is none", s => SendAsync(s, [hello, new Sent(state.Kind, 0, new byte[20 << 20])])),
            ("millions of units", s => SendAsync(s, [hello, state with { Payload = ManyUnits(20 << 20) }])),
            ("millions of fields", s => SendAsync(s, [.. good[..^1].Select(r => r == state ? ManyFields(r, 20 << 20) : r), good[^1]])),
            ("a name of 20 MiB", s => SendAsync(s, [hello, state with { Payload = LongId(20 << 20) }])),
            ("one state after the other", s => SendAsync(s, [hello, .. Enumerable.Repeat(state, 3000)])),
            ("records without end", s => SendAsync(s,
                [hello, .. Enumerable.Repeat(new Sent(MigrationRecordKind.ZeroPages, 1ul << 32, []), 1_000_000)])),
            ("RAM again and again", s => SendAsync(s,
                [hello, .. Enumerable.Repeat(good.Where(r => r.Kind == MigrationRecordKind.Pages), 10).SelectMany(r => r)])),
            ("a hello of 1 MiB", s => SendAsync(s,
                [new Sent(MigrationRecordKind.Hello, 0, Encoding.UTF8.GetBytes(new string('[', 1 << 20)))])),
        })
        {
            receiver.ResetPeak();
            int port = await ListenAsync(receiver);
            using (var client = new TcpClient("127.0.0.1", port))
            {
                try
                {
                    await send(client.GetStream());
                }
                catch (IOException)
                {
                    // The receiver has heard enough.
                }
            }

            await receiver.UntilAsync("query-migrate", a => a["status"]?.ToString() == "failed");
            await RequireAsync(receiver, name, before);
        }

        // A flood of those who say nothing.
        receiver.ResetPeak();
        int open = await ListenAsync(receiver);
        List<TcpClient> flood = [.. Enumerable.Range(0, 300).Select(_ => new TcpClient())];
        await Task.WhenAny(Task.WhenAll(flood.Select(c => c.ConnectAsync("127.0.0.1", open))), Task.Delay(3000));
        flood.ForEach(c => c.Dispose());
        await RequireAsync(receiver, "300 connections", before);
    }

    private async Task RequireAsync(VmWithQmp receiver, string name, long before)
    {
        Assert.Equal("inmigrate", await receiver.StatusAsync());
        long peak = receiver.Peak();
        output.WriteLine($"[figure] {name}: {before >> 20} MiB before, {peak >> 20} MiB at most");
        Assert.True(peak < before + RamBytes + Constant, $"{name}: {before >> 20} MiB became {peak >> 20} MiB");
    }

    private static async Task<int> ListenAsync(VmWithQmp receiver)
    {
        await receiver.Qmp.AskAsync("migrate-incoming", new JsonObject { ["uri"] = "tcp:127.0.0.1:0", ["exit-on-error"] = false });
        JsonNode info = await receiver.UntilAsync("query-migrate", a => a["socket-address"] != null && a["status"]?.ToString() == "setup");
        return int.Parse(info["socket-address"]![0]!["port"]!.ToString(), CultureInfo.InvariantCulture);
    }

    // What a sender writes up to the hand-over.
    private async Task<byte[]> RecordAsync()
    {
        string path = Path.Combine(_folder, "stream");
        await using VmWithQmp sender = await VmWithQmp.StartAsync(_folder);
        await sender.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
        await sender.Qmp.AskAsync("migrate", new JsonObject { ["uri"] = $"file:{path}" });
        await sender.UntilMigrationAsync("completed");
        return await File.ReadAllBytesAsync(path);
    }

    private static async Task SendAsync(NetworkStream to, IEnumerable<Sent> records)
    {
        await to.WriteAsync(MigrationRecords.Join(records));
        to.Socket.Shutdown(SocketShutdown.Send);
        while (await to.ReadAsync(new byte[4096]) > 0)
        {
        }
    }

    // A record whose payload is zeros, as long as the receiver takes them.
    private static async Task PromiseAsync(NetworkStream to, Sent hello, MigrationRecordKind kind, int length)
    {
        byte[] header = new byte[MigrationRecord.HeaderSize];
        header[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(4), length);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), Crc32C.Of(header.AsSpan(0, 20)));
        await to.WriteAsync(MigrationRecords.Join([hello]));
        await to.WriteAsync(header);
        byte[] piece = new byte[1 << 20];
        for (int sent = 0; sent < length; sent += piece.Length)
        {
            await to.WriteAsync(piece);
        }
    }

    private static byte[] ManyUnits(int bytes) => Archived(bytes, (output, i) =>
    {
        output.Write($"{i:x}");
        output.Write(1);
        output.Write(0);
        output.Write(0);
    });

    private static byte[] LongId(int bytes) => Archived(bytes, (output, _) => output.Write(new string('x', bytes)));

    private static byte[] Archived(int bytes, Action<BinaryWriter, int> unit)
    {
        using var stream = new MemoryStream();
        using var output = new BinaryWriter(stream);
        output.Write("VMMSNAP\n"u8);
        output.Write(3);
        output.Write(0);
        int count = 0;
        while (stream.Length < bytes)
        {
            unit(output, count++);
            output.Flush();
        }

        stream.Position = 12;
        output.Write(count);
        output.Flush();
        return stream.ToArray();
    }

    // The state, of which one unit has more fields than can be.
    private static Sent ManyFields(Sent state, int bytes)
    {
        List<SavedUnit> units = [.. Archive.Read(state.Payload)];
        using var stream = new MemoryStream();
        using var output = new BinaryWriter(stream);
        output.Write(bytes / 10);
        for (int i = 0; i < bytes / 10; i++)
        {
            output.Write($"{i:x5}");
            output.Write(0);
        }

        output.Flush();
        int at = units.FindIndex(u => !u.Id.Contains('/', StringComparison.Ordinal));
        units[at] = units[at] with { Fields = stream.ToArray() };
        using var archive = new MemoryStream();
        Archive.Write(archive, units);
        return state with { Payload = archive.ToArray() };
    }
}
