using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>The machine under test: <see cref="VirtMachine"/> with a thread for each vCPU that is on, and no actors.</summary>
/// <param name="accelerator">The engine.</param>
/// <param name="arrives">RAM comes page by page while the guest runs.</param>
internal sealed class EngineMachine(Accelerator accelerator, bool arrives = false) : IMachineRunner
{
    public string Run(string image, string cpuModel, int cpus)
    {
        using var session = new Session(image, cpuModel, cpus, accelerator, arrives);
        return session.Run();
    }

    private sealed class Session : IPsciEvents, IDisposable
    {
        private readonly VirtMachine _machine;
        private readonly Thread?[] _threads;
        private readonly StringBuilder _console = new();
        private readonly ManualResetEventSlim _ended = new();
        private readonly bool _arrives;
        private ArrivingRam? _arriving;
        private volatile bool _stop;
        private volatile Exception? _fault;

        public Session(string image, string cpuModel, int cpus, Accelerator accelerator, bool arrives)
        {
            _arrives = arrives;
            _threads = new Thread?[cpus];
            _machine = new VirtMachine(
                new MachineConfig(
                    ModelOf(cpuModel), cpus, new CpuTopology(1, 1, cpus, 1), 128 << 20,
                    new BootConfig(File.ReadAllBytes(image), null, ""))
                {
                    Accelerator = accelerator,
                    Msi = cpuModel.Contains("msi=gicv2m", StringComparison.Ordinal) ? MsiController.GicV2m : MsiController.Its,
                },
                this);
        }

        // A name, and properties: the algorithm of pointer authentication or the vectors of SVE as QEMU names them, or no LPA2, or tags in
        // RAM, which QEMU asks the machine.
        private static CpuModel ModelOf(string text)
        {
            string[] parts = text.Split(',');
            return parts[1..].Aggregate(CpuModel.Find(parts[0])!, (model, property) => property switch
            {
                "pauth-qarma3=on" => model.WithPointerAuthentication(Feature.PauthQarma3),
                "sve=on" => model.WithScalable(0xFFFF),
                "sve=off" => model.WithScalable(0),
                "sve-max-vq=4" => model.WithScalable(0xF),
                "pauth-qarma5=on" => model.WithPointerAuthentication(Feature.PauthQarma5),
                "lpa2=off" => model with { HasLpa2 = false },
                "mte=on" => model.WithMemoryTags(),
                _ => model,
            });
        }

        public string Run()
        {
            _machine.PowerOn();
            if (_arrives)
            {
                _arriving = new ArrivingRam(_machine.Ram, _machine.MissingPages, 11, burst: 4, () =>
                {
                    foreach (VcpuCore cpu in _machine.Cpus)
                    {
                        cpu.RequestExit();
                    }
                });
                _arriving.Begin();
            }

            Start(new CpuIndex(0));
            DateTime deadline = DateTime.UtcNow + Patience.Limit;
            while (!_ended.Wait(2) && DateTime.UtcNow < deadline)
            {
                Drain();
            }

            Drain();
            if (_fault != null)
            {
                throw new InvalidOperationException($"a vCPU thread failed; the guest printed:\n{_console}", _fault);
            }

            return _ended.IsSet ? _console.ToString() : throw new TimeoutException("the guest did not power off; it printed:\n" + _console);
        }

        void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
        {
            // The thread of its last life may still be on its way out.
            _threads[cpu.Value]?.Join();
            _machine.Cpus[cpu.Value].Reset(entryPoint.Value, context);
            _machine.Psci.SetPower(cpu, PowerState.On);
            Start(cpu);
        }

        private void Start(CpuIndex cpu)
        {
            var thread = new Thread(() => Loop(_machine.Cpus[cpu.Value])) { IsBackground = true, Name = cpu.ToString() };
            _threads[cpu.Value] = thread;
            thread.Start();
        }

        private void Loop(VcpuCore core)
        {
            using var waker = new Waker();
            core.Interrupts.SetWaker(waker);
            try
            {
                while (!_stop)
                {
                    switch (core.Run(1_000_000))
                    {
                        case VcpuExit.WaitForInterrupt or VcpuExit.PageMissing when core.Interrupts.TryPark():
                            waker.Event.WaitOne();
                            break;
                        case VcpuExit.WaitForEvent:
                            Thread.Yield();
                            break;
                        case VcpuExit.PoweredOff:
                            return;
                        case VcpuExit.SystemOff or VcpuExit.SystemReset:
                            _ended.Set();
                            return;
                    }
                }
            }
            catch (Exception e)
            {
                _fault = e;
                _ended.Set();
            }
        }

        private void Drain()
        {
            Span<byte> buffer = stackalloc byte[4096];
            while (_machine.Board.Uart.Drain(buffer) is var count and > 0)
            {
                _console.Append(Encoding.Latin1.GetString(buffer[..count]));
            }
        }

        public void Dispose()
        {
            _stop = true;
            _arriving?.Dispose();
            foreach (VcpuCore cpu in _machine.Cpus)
            {
                cpu.RequestExit();
            }

            // CPU 0 first, which alone starts others.
            foreach (Thread? thread in _threads)
            {
                thread?.Join();
            }

            _machine.Dispose();
            _ended.Dispose();
        }
    }

    private sealed class Waker : IVcpuWaker, IDisposable
    {
        public AutoResetEvent Event { get; } = new(false);

        public void Wake() => Event.Set();

        public void Dispose() => Event.Dispose();
    }
}
