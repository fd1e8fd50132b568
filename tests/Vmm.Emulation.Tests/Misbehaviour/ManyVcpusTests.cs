using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Garbage on several vCPUs of one machine at once, each on a thread: none stays inside <see cref="VcpuCore.Run"/>, nothing throws.
/// </summary>
public sealed unsafe class ManyVcpusTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261128;
    private const int Cpus = 4;
    private const int Slice = 5_000;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(4);

    private readonly HostileMachine _machine = new(Cpus, Cpus + 1);
    private readonly long[] _entered = new long[Cpus];
    private readonly long[] _runs = new long[Cpus];
    private readonly Exception?[] _faults = new Exception?[Cpus];
    private volatile bool _stop;

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Vcpus_that_run_garbage_at_once_all_leave_when_asked()
    {
        var code = new GarbageCode(Seed);
        code.Fill(new Span<uint>(_machine.Host(HostileMachine.Code), 0x10_0000 / 4));
        for (ulong vector = 0; vector < 0x800; vector += 0x80)
        {
            _machine.Write(HostileMachine.Vectors + vector, GarbageCode.Skip);
        }

        Thread[] threads = [.. _machine.Machine.Cpus.Take(Cpus)
            .Select((core, i) => new Thread(() => Loop(core, i)) { IsBackground = true })];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        var watch = Stopwatch.StartNew();
        var other = new GarbageCode(Seed + 1);
        while ((watch.Elapsed < Duration || _runs.Contains(0)) && _faults.All(f => f == null))
        {
            // What other threads of a host do meanwhile: ask vCPUs to leave, drain the console, change lines.
            _machine.Machine.Cpus[other.Random.Next(Cpus)].RequestExit();
            _machine.Drain(null);
            _machine.Machine.Board.Uart.Receive([(byte)other.Any()]);
            _machine.Machine.Board.Ged.Raise(Emulation.Devices.Ged.GedEvents.PowerButton);
            Thread.Sleep(1);
            AssertNoneHangs();
        }

        _stop = true;
        foreach (VcpuCore core in _machine.Machine.Cpus)
        {
            core.RequestExit();
        }

        for (int i = 0; i < Cpus; i++)
        {
            Assert.True(threads[i].Join(Patience.Limit), $"{Describe(i)} did not leave Run when asked");
            Assert.True(_faults[i] == null, $"cpu{i}: {_faults[i]}");
            Assert.True(_runs[i] > 0);
        }

        long instructions = _machine.Machine.Cpus.Sum(c => c.InstructionCount);
        output.WriteLine(
            $"[figure] {Cpus} vCPUs of garbage: seed {Seed}, {instructions} instructions in {_runs.Sum()} slices of at most {Slice}");
    }

    private void AssertNoneHangs()
    {
        for (int i = 0; i < Cpus; i++)
        {
            long entered = Volatile.Read(ref _entered[i]);
            Assert.True(entered == 0 || Stopwatch.GetElapsedTime(entered) < Patience.Limit, $"{Describe(i)} is still in Run");
        }
    }

    private string Describe(int cpu) => $"cpu{cpu} at PC 0x{_machine.Machine.Cpus[cpu].State->Pc:x} ({_runs[cpu]} slices before)";

    private void Loop(VcpuCore core, int index)
    {
        try
        {
            var garbage = new GarbageCode(Seed + 100 + index);
            while (!_stop)
            {
                // A new life: all code is shared, and every vCPU may write all of it.
                _machine.Place(core, HostileMachine.Code + (garbage.Any() & 0xF_FFFC),
                    garbage.Random.Next(2) == 0 ? Pstate.ModeEl0t : Pstate.ModeEl1h);
                garbage.FillRegisters(core.State);
                _machine.Machine.Psci.SetPower(core.Index, PowerState.On);
                for (int slice = 0; slice < 4 && !_stop; slice++)
                {
                    Volatile.Write(ref _entered[index], Stopwatch.GetTimestamp());
                    VcpuExit exit = core.Run(Slice);
                    Volatile.Write(ref _entered[index], 0);
                    _runs[index]++;
                    HostileMachine.AssertLegal(core, $"cpu{index}");
                    if (exit == VcpuExit.PoweredOff)
                    {
                        break;
                    }
                }

                // The garbage anew where the guest has changed it.
                uint[] words = new uint[256];
                garbage.Fill(words);
                _machine.Write(HostileMachine.Code + (garbage.Any() & 0xF_FC00), words);
                core.Code.InvalidateAll();
            }
        }
        catch (Exception e)
        {
            _faults[index] = e;
        }
    }
}
