using System.Diagnostics;
using System.Text;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Interrupts;

namespace Vmm.Guest.Tests;

/// <summary>
/// Runs a <see cref="VirtMachine"/> without actors, a thread for each vCPU that is on, and talks to its console: what the engine does
/// is tested apart from who drives it.
/// </summary>
internal sealed class BareRunner : IPsciEvents, IDisposable
{
    private readonly StringBuilder _console = new();
    private readonly List<Thread> _threads = [];
    private readonly Thread _reader;
    private readonly CancellationTokenSource _stop = new();
    private int _mark;
    private ArrivingRam? _arriving;
    private volatile Exception? _fault;

    public BareRunner(MachineConfig config)
    {
        Machine = new VirtMachine(config, this);
        _reader = new Thread(ReadConsole) { IsBackground = true };
    }

    public VirtMachine Machine { get; }

    /// <summary>How the machine ended, once it has.</summary>
    public TaskCompletionSource<VcpuExit> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>All that the guest has printed.</summary>
    public string Console
    {
        get
        {
            lock (_console)
            {
                return _console.ToString();
            }
        }
    }

    /// <summary>Pages that the guest has waited for, when its RAM arrives while it runs.</summary>
    public int PagesAskedFor => _arriving?.Requested ?? 0;

    /// <param name="ramArrives">RAM comes page by page while the guest runs, as after a postcopy migration.</param>
    public void Start(bool ramArrives = false)
    {
        Machine.PowerOn();
        if (ramArrives)
        {
            _arriving = new ArrivingRam(Machine.Ram, Machine.MissingPages, 3, burst: 2);
            _arriving.Begin();
        }

        _reader.Start();
        StartThread(new CpuIndex(0));
    }

    /// <summary>Waits until the guest prints a text; returns what it printed up to it since the last wait.</summary>
    public string Expect(string text)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < Patience.Limit)
        {
            string console = Console;
            int at = console.IndexOf(text, _mark, StringComparison.Ordinal);
            if (at >= 0)
            {
                string seen = console[_mark..at];
                _mark = at + text.Length;
                return seen;
            }

            if (_fault is { } fault)
            {
                throw new InvalidOperationException("a vCPU thread failed", fault);
            }

            Thread.Sleep(5);
        }

        throw new TimeoutException($"the guest did not print '{text}'; it printed:\n{Console[_mark..]}");
    }

    /// <summary>Types a line when the guest asks for one: what is typed before would be echoed in the middle of what it prints.</summary>
    public void Type(string line)
    {
        Expect("# ");
        foreach (byte b in Encoding.ASCII.GetBytes(line + "\n"))
        {
            while (Machine.Board.Uart.Receive([b]) == 0)
            {
                Thread.Sleep(1);
            }
        }
    }

    /// <summary>Plugs a CPU and waits until the guest has reported it with _OST.</summary>
    public void Plug(CpuIndex cpu)
    {
        Machine.SetEnabled(cpu, true);
        Machine.Board.CpuHotplug.PendInsert(cpu);
        Machine.Board.Ged.Raise(GedEvents.CpuHotplug);
        CpuHotplugEvent e = NextEvent();
        Assert.Equal(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ost, 1, 0), e);
    }

    /// <summary>Asks the guest for a CPU and waits until it has ejected it.</summary>
    public void Unplug(CpuIndex cpu)
    {
        Machine.Board.CpuHotplug.PendRemove(cpu);
        Machine.Board.Ged.Raise(GedEvents.CpuHotplug);
        Assert.Equal(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ost, 3, 0x84), NextEvent());
        Assert.Equal(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ejected), NextEvent());
        Assert.Equal(PowerState.Off, Machine.Psci.Power(cpu));
        Machine.SetEnabled(cpu, false);
        Assert.Equal(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ost, 3, 0), NextEvent());
    }

    private CpuHotplugEvent NextEvent()
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < Patience.Limit)
        {
            if (Machine.Board.CpuHotplug.TryTakeEvent(out CpuHotplugEvent e))
            {
                return e;
            }

            Thread.Sleep(2);
        }

        throw new TimeoutException($"no answer to a hotplug request; the guest printed:\n{Console[_mark..]}");
    }

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
    {
        Machine.Cpus[cpu.Value].Reset(entryPoint.Value, context);
        Machine.Psci.SetPower(cpu, PowerState.On);
        StartThread(cpu);
    }

    private void StartThread(CpuIndex cpu)
    {
        var thread = new Thread(() => Loop(Machine.Cpus[cpu.Value])) { IsBackground = true, Name = cpu.ToString() };
        lock (_threads)
        {
            _threads.Add(thread);
        }

        thread.Start();
    }

    private void Loop(VcpuCore core)
    {
        using var waker = new Waker();
        core.Interrupts.SetWaker(waker);
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                VcpuExit exit = core.Run(1_000_000);
                switch (exit)
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
                        Ended.TrySetResult(exit);
                        return;
                }
            }
        }
        catch (Exception e) when (e is not ThreadInterruptedException)
        {
            _fault = e;
        }
    }

    private void ReadConsole()
    {
        byte[] buffer = new byte[4096];
        while (!_stop.IsCancellationRequested)
        {
            int count = Machine.Board.Uart.Drain(buffer);
            if (count == 0)
            {
                Thread.Sleep(2);
                continue;
            }

            lock (_console)
            {
                _console.Append(Encoding.Latin1.GetString(buffer, 0, count));
            }
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _arriving?.Dispose();
        foreach (VcpuCore cpu in Machine.Cpus)
        {
            cpu.RequestExit();
        }

        Thread[] threads;
        lock (_threads)
        {
            threads = [.. _threads];
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        _reader.Join();
        Machine.Dispose();
        _stop.Dispose();
    }

    private sealed class Waker : IVcpuWaker, IDisposable
    {
        public AutoResetEvent Event { get; } = new(false);

        public void Wake() => Event.Set();

        public void Dispose() => Event.Dispose();
    }
}
