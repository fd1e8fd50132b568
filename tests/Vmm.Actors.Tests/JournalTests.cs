using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Tests;

/// <summary>A journal in a file: a machine of one actor system goes on in another.</summary>
public sealed class JournalTests : IDisposable
{
    private static readonly TimeSpan s_patience = Patience.Limit;
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-journal").FullName;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    // One process: a new machine and a new actor system on the same file.
    private sealed class Run : IAsyncDisposable
    {
        private readonly ServiceProvider _services;
        private readonly JournalFile _journal;
        private readonly Inbox _inbox;
        private readonly IActorRef _vm;

        public Run(string folder, int enabled = 2, int possible = 4, int disabled = 0, bool canLeave = false)
        {
            Machine = new FakeMachine(enabled, possible, disabled, canLeave);
            _journal = JournalFile.Open(Path.Combine(folder, "hotplug.db"));
            var options = new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, _ => { }) { Journal = _journal };
            _services = new ServiceCollection()
                .AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance)
                .AddSingleton(typeof(ILogger<>), typeof(Logger<>))
                .AddSingleton<IHostApplicationLifetime, ApplicationLifetime>()
                .AddAkka("vmm", akka => akka.WithVm(Machine, options))
                .BuildServiceProvider();
            _services.GetRequiredService<IHostedService>().StartAsync(CancellationToken.None).GetAwaiter().GetResult();
            _inbox = Inbox.Create(_services.GetRequiredService<ActorSystem>());
            _vm = _services.GetRequiredService<IRequiredActor<VmSupervisor>>().ActorRef;
        }

        public FakeMachine Machine { get; }

        public void Send(IProtocolMessage message) => _inbox.Send(_vm, message);

        public async Task<T> Receive<T>() => Assert.IsType<T>(await _inbox.ReceiveAsync(s_patience));

        public async Task<VmStatus> Start()
        {
            Send(new StartVm());
            return await Receive<VmStatus>();
        }

        public async Task Plug(string id, int cpu)
        {
            Send(new PlugVcpu(id, cpu));
            Assert.Equal(new HotplugAccepted(id, cpu), await Receive<HotplugAccepted>());
            await Logged($"insert {cpu}");
        }

        public async Task Logged(string what)
        {
            using var patience = new CancellationTokenSource(s_patience);
            while (!Machine.Log.Contains(what))
            {
                await Task.Delay(10, patience.Token);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _services.GetRequiredService<ActorSystem>().Terminate();
            await _services.DisposeAsync();
            _journal.Dispose();
        }
    }

    [Fact]
    public async Task Plugged_CPUs_are_enabled_from_power_on_and_can_be_unplugged()
    {
        await using (var first = new Run(_folder))
        {
            await first.Start();
            await first.Plug("core2", 2);
            first.Machine.Port.Ost(2, 1, 0);
            Assert.Equal(
                new HotplugOutcome("core2", 2, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), await first.Receive<HotplugOutcome>());

            // Asked for in the last moment: the guest did not answer.
            await first.Plug("core3", 3);
        }

        await using (var second = new Run(_folder))
        {
            Assert.Equal(new VmStatus(VmRunState.Running, ""), await second.Start());
            Assert.True(second.Machine.IsEnabled(2) && second.Machine.IsEnabled(3));
            Assert.True(second.Machine.IsAccessible(2) && second.Machine.IsAccessible(3));
            Assert.DoesNotContain("insert 2", second.Machine.Log);
            second.Send(new GetPluggedVcpus());
            Assert.Equal(["core2", "core3"], (await second.Receive<PluggedVcpus>()).Ids);
            second.Send(new UnplugVcpu("core2"));
            Assert.Equal(new HotplugAccepted("core2", 2), await second.Receive<HotplugAccepted>());
            await second.Logged("remove 2");
            second.Machine.Port.Eject(2);
            Assert.Equal(
                new HotplugOutcome("core2", 2, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0),
                await second.Receive<HotplugOutcome>());
        }

        await using var third = new Run(_folder);
        await third.Start();
        Assert.True(third.Machine.IsEnabled(3));
        Assert.False(third.Machine.IsEnabled(2));
    }

    [Fact]
    public async Task Unplug_that_the_guest_did_not_answer_is_forgotten_and_the_CPU_stays()
    {
        await using (var first = new Run(_folder))
        {
            await first.Start();
            await first.Plug("core3", 3);
            first.Machine.Port.Ost(3, 1, 0);
            await first.Receive<HotplugOutcome>();
            first.Send(new UnplugVcpu("core3"));
            await first.Receive<HotplugAccepted>();
        }

        await using var second = new Run(_folder);
        await second.Start();
        Assert.True(second.Machine.IsEnabled(3));
        Assert.DoesNotContain("remove 3", second.Machine.Log);
        second.Send(new UnplugVcpu("core3"));
        await second.Receive<HotplugAccepted>();
    }

    [Theory]
    [InlineData(2, 3, "the saved state has a CPU 'core3' with core-id 3, correct range 0:2; start with the -smp of that time")]
    [InlineData(4, 4, "the saved state has a CPU 'core3' with core-id 3, which is enabled without it; start with the -smp of that time")]
    public async Task Machine_that_does_not_fit_is_refused(int enabled, int possible, string reason)
    {
        await using (var first = new Run(_folder))
        {
            await first.Start();
            await first.Plug("core3", 3);
        }

        Assert.Equal(reason, Refusal(FakeMachine.Cpus(enabled, 0, possible, false)));
    }

    private string? Refusal(PowerOnCpus cpus)
    {
        using JournalFile journal = JournalFile.Open(Path.Combine(_folder, "hotplug.db"));
        journal.State.PowerOn(cpus, 0, out string? refusal);
        return refusal;
    }

    [Fact]
    public async Task Disabled_and_enabled_CPUs_are_so_from_power_on()
    {
        await using (var first = new Run(_folder, 2, 4, disabled: 1, canLeave: true))
        {
            await first.Start();
            first.Send(new SetVcpuAdmin(2, true));
            await first.Receive<HotplugAccepted>();
            await first.Logged("insert 2");
            first.Machine.Port.Ost(2, 1, 0);
            Assert.Equal(new HotplugOutcome("cpu-2", 2, HotplugOperation.Enable, HotplugOutcomeKind.Done, 0),
                await first.Receive<HotplugOutcome>());
            first.Send(new SetVcpuAdmin(1, false));
            await first.Receive<HotplugAccepted>();
            await first.Logged("remove 1");
            first.Machine.Port.Eject(1);
            Assert.Equal(new HotplugOutcome("cpu-1", 1, HotplugOperation.Disable, HotplugOutcomeKind.Done, 0),
                await first.Receive<HotplugOutcome>());
        }

        await using (var second = new Run(_folder, 2, 4, disabled: 1, canLeave: true))
        {
            Assert.Equal(new VmStatus(VmRunState.Running, ""), await second.Start());
            Assert.True(second.Machine.IsEnabled(2) && second.Machine.IsAccessible(2));
            Assert.False(second.Machine.IsEnabled(1) || second.Machine.IsAccessible(1));
            Assert.Contains("executable 1 False", second.Machine.Log);
            second.Send(new GetCpusPowerState());
            Assert.Equal(
                [CpuAdminState.Enabled, CpuAdminState.Disabled, CpuAdminState.Enabled, CpuAdminState.Removed],
                (await second.Receive<CpusPowerState>()).Admin);
        }

        Assert.Equal(
            "the saved state has CPU 1 disabled, which this machine has enabled for good; start with the -smp and -machine of that time",
            Refusal(FakeMachine.Cpus(2, 0, 4, false)));
    }
}
