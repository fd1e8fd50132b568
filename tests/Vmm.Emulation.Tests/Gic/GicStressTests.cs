namespace Vmm.Emulation.Tests.Gic;

public sealed class GicStressTests
{
    /// <summary>
    /// Two CPUs bounce SGIs while a device pulses an edge interrupt that moves between them. Every SGI is answered and every pulse that was
    /// waited for is taken: were one lost, its sender would wait for ever.
    /// </summary>
    [Fact]
    public void Gic_under_racing_threads_loses_no_interrupt()
    {
        // Each round takes all three threads: on a busy host, which gives each a turn now and then, the time is what ends it.
        const int Rounds = 20_000;
        long enough = Environment.TickCount64 + 20_000;
        bool Enough() => Environment.TickCount64 > enough;
        using var gic = new GicHarness(2);
        gic.MakeEdge(41);
        int ping = 0;
        int pong = 0;
        int pulses = 0;
        bool stop = false;
        bool last = false;
        long deadline = Environment.TickCount64 + (long)Patience.Limit.TotalMilliseconds;
        bool Late() => Environment.TickCount64 > deadline;

        void Serve(int cpu)
        {
            while (!Volatile.Read(ref stop) && !Late())
            {
                if (!gic.Irq(cpu))
                {
                    Thread.Yield();
                    continue;
                }

                ulong id = gic.Cpu(cpu).Acknowledge(true);
                switch (id)
                {
                    case 1:
                        gic.Cpu(cpu).EndOfInterrupt(id, true);
                        if (cpu == 1)
                        {
                            Interlocked.Increment(ref ping);
                            gic.Cpu(1).SendSgi((1ul << 24) | 1, true);
                        }
                        else if (Interlocked.Increment(ref pong) < Rounds && !Enough())
                        {
                            gic.Cpu(0).SendSgi((1ul << 24) | 2, true);
                        }
                        else
                        {
                            Volatile.Write(ref last, true);
                        }

                        break;
                    case 41:
                        gic.Cpu(cpu).EndOfInterrupt(id, true);
                        Interlocked.Increment(ref pulses);
                        break;
                }
            }
        }

        var threads = new[] { new Thread(() => Serve(0)), new Thread(() => Serve(1)) };
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        gic.Cpu(0).SendSgi((1ul << 24) | 2, true);
        var line = gic.Spi(41);
        int sent = 0;
        while (!Volatile.Read(ref last) && !Late())
        {
            gic.Route(41, (ulong)(sent & 1));
            line.Pulse();
            sent++;
            while (Volatile.Read(ref pulses) < sent && !Late())
            {
                Thread.Yield();
            }
        }

        Volatile.Write(ref stop, true);
        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.True(last, $"no answer to the SGI of round {pong}");
        Assert.Equal(pong, ping);
        Assert.Equal(sent, pulses);
        Assert.True(sent > 0);
    }
}
