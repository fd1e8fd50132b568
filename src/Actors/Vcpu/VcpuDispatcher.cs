using Akka.Configuration;
using Akka.Dispatch;

namespace Vmm.Actors.Vcpu;

/// <summary>
/// The dispatcher of vCPU actors, which <c>hocon/dispatchers.conf</c> names: each actor has a thread of its own. Akka's PinnedDispatcher
/// gives it one, too, but that thread yields its core some forty times before it sleeps: a fourth of the time that an idle guest uses.
/// </summary>
public sealed class VcpuDispatcher(Config config, IDispatcherPrerequisites prerequisites)
    : MessageDispatcherConfigurator(config, prerequisites)
{
    public override MessageDispatcher Dispatcher() => new Dispatcher(
        this,
        Config.GetString("id"),
        Config.GetInt("throughput"),
        Config.GetTimeSpan("throughput-deadline-time").Ticks,
        new ThreadFactory(),
        Config.GetTimeSpan("shutdown-timeout"));

    private sealed class ThreadFactory : ExecutorServiceFactory
    {
        public override ExecutorService Produce(string id) => new OneThread(id);
    }

    /// <summary>A thread that runs what it is given, in that order. It sleeps as soon as there is nothing.</summary>
    private sealed class OneThread : ExecutorService
    {
        // Both belong to who holds the lock of _work.
        private readonly Queue<IRunnable> _work = new();
        private bool _ended;

        public OneThread(string id)
            : base(id)
        {
            new Thread(Run) { IsBackground = true, Name = id }.Start();
        }

        public override void Execute(IRunnable run)
        {
            lock (_work)
            {
                if (_ended)
                {
                    throw new RejectedExecutionException($"{Id} is shut down");
                }

                _work.Enqueue(run);
                Monitor.Pulse(_work);
            }
        }

        /// <summary>The thread ends once it has run what it was given.</summary>
        public override void Shutdown()
        {
            lock (_work)
            {
                _ended = true;
                Monitor.Pulse(_work);
            }
        }

        private void Run()
        {
            while (Next() is { } run)
            {
                run.Run();
            }
        }

        private IRunnable? Next()
        {
            lock (_work)
            {
                IRunnable? run;
                while (!_work.TryDequeue(out run) && !_ended)
                {
                    Monitor.Wait(_work);
                }

                return run;
            }
        }
    }
}
