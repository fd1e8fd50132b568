using System.Buffers.Binary;
using System.Net.Sockets;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Tests.Jit;
using Vmm.Management.Control;
using Vmm.Management.Tests.Qmp;

namespace Vmm.Management.Tests.Control;

/// <summary>
/// Random and mutilated frames to the control socket. Whatever was sent, another client is answered, and the process does not grow. A short
/// run of a fixed seed; <c>VMM_FUZZ_SECONDS=600 ./test --filter Fuzz</c> for long ones (<see cref="FuzzRun"/>).
/// </summary>
[Collection(nameof(MemoryMeasurement))]
public sealed class ControlFuzzTests
{
    private static readonly IProtocolMessage[] s_corpus =
    [
        new GetVmStatus(), new ReadGuestMemory(-1, 0x4000_0000, 4096), new PlugVcpu("core1", 1), new SetVcpuAdmin(1, true),
        new SubscribeEvents(), new SaveSnapshot("a", false, true), new SetMigrationCapabilities([MigrationCapability.Xbzrle], [true]),
        new LimitBlock("disk0", [1, 2, 3], "group"), new PlugDevice(["driver"], ["virtio-rng-pci"]), new ResumeVcpus(),
        new VmStatus(VmRunState.Running, "text"), new GuestMemoryRead([1, 2, 3]),
    ];

    [Fact]
    public async Task Fuzz_control()
    {
        var run = new FuzzRun(400);
        await using var vm = new FakeControlVm();
        vm.Outcomes.SetResult();
        await using ControlClient good = await vm.ConnectAsync();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        long bytes = 0;
        foreach (int program in run.Programs())
        {
            byte[] sent = Input(new Random(run.SeedOf(program)));
            bytes += sent.Length;
            await using (NetworkStream bad = await vm.ConnectRawAsync())
            {
                try
                {
                    await bad.WriteAsync(sent).AsTask().WaitAsync(Patience.Limit);
                    bad.Socket.Shutdown(SocketShutdown.Send);

                    // Answers, and then the end.
                    byte[] answers = new byte[4096];
                    while (await bad.ReadAsync(answers).AsTask().WaitAsync(Patience.Limit) > 0)
                    {
                    }
                }
                catch (Exception e) when (e is IOException or SocketException)
                {
                    // The end came earlier.
                }
            }

            IProtocolMessage status = await good.AskAsync(new GetVmStatus(), CancellationToken.None).WaitAsync(Patience.Limit);
            Assert.True(status is VmStatus, $"{run.Name(program)}: {status}: {Convert.ToBase64String(sent)}");
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 64 << 20);
        System.Console.WriteLine(run.Figure("control", $"{bytes >> 10} KiB"));
    }

    private static byte[] Input(Random random)
    {
        var bytes = new List<byte>();
        for (int i = random.Next(1, 8); i > 0; i--)
        {
            byte[] frame = new ControlFrame((ulong)random.NextInt64(), s_corpus[random.Next(s_corpus.Length)]).Encode();
            switch (random.Next(6))
            {
                case 0:
                    random.NextBytes(frame.AsSpan(random.Next(frame.Length)));
                    break;
                case 1:
                    frame[random.Next(frame.Length)] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    BinaryPrimitives.WriteInt32LittleEndian(frame, random.Next(-16, 300_000));
                    break;
                case 3:
                    frame = frame[..random.Next(frame.Length)];
                    break;
            }

            bytes.AddRange(frame);
        }

        return [.. bytes];
    }
}
