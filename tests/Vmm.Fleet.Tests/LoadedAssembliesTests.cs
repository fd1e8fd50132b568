using System.Diagnostics;
using Vmm.Actors.Protocol;
using Vmm.Management.Control;

namespace Vmm.Fleet.Tests;

/// <summary>What a VM's process loads, seen from outside.</summary>
public sealed class LoadedAssembliesTests
{
    /// <summary>A VM that has told of the steps of a plug at its control socket has loaded nothing of the fleet.</summary>
    [Fact]
    public async Task VM_loads_no_assembly_of_the_cluster()
    {
        string folder = Directory.CreateTempSubdirectory("vmm-fleet-").FullName;
        string image = IdleGuest.WriteKernel(folder);
        string control = Path.Combine(folder, "control");
        using Process vm = VmmProcess.Start(
            ["-m", "64M", "-smp", "1,maxcpus=2", "-kernel", image, "-control", $"unix:{control}", "-serial", "none"]);
        var notified = new TaskCompletionSource<CpuStepTaken>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            Patience.Until(() => vm.HasExited || File.Exists(control), "a control socket");
            await using ControlClient client = await ConnectAsync(control, happened =>
            {
                if (happened is CpuStepTaken { Step: CpuStep.GuestNotified } step)
                {
                    notified.TrySetResult(step);
                }
            });
            Assert.Equal(vm.Id, client.Greeting.Process);
            Assert.IsType<MachineDescription>(await client.AskAsync(new GetMachineDescription(), CancellationToken.None));
            await client.AskAsync(new SubscribeEvents(), CancellationToken.None);
            Task<IProtocolMessage> plug = client.AskAsync(new PlugVcpu("core1", 1, "trace"), CancellationToken.None);
            Assert.Equal("trace", (await notified.Task.WaitAsync(Patience.Limit)).Trace);
            string[] loaded = [.. File.ReadLines($"/proc/{vm.Id}/maps").Select(line => Path.GetFileName(line)).Distinct()];
            Assert.Contains("Vmm.Management.dll", loaded);
            Assert.DoesNotContain(loaded, name => name.StartsWith("Akka.Cluster", StringComparison.Ordinal)
                || name.StartsWith("Akka.Persistence", StringComparison.Ordinal)
                || name.StartsWith("OpenTelemetry", StringComparison.Ordinal)
                || name is "Vmm.Fleet.dll" or "Npgsql.dll" or "linq2db.dll");
            Assert.IsType<VmQuitting>(await client.AskAsync(new QuitVm(), CancellationToken.None));
            await vm.WaitForExitAsync().WaitAsync(Patience.Limit);
            Assert.Equal(0, vm.ExitCode);

            // The guest has no answer to the plug.
            await plug.ContinueWith(_ => { }, TaskScheduler.Default);
        }
        finally
        {
            if (!vm.HasExited)
            {
                vm.Kill();
                await vm.WaitForExitAsync();
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    // The socket is there a moment before it is listened at.
    private static async Task<ControlClient> ConnectAsync(string control, Action<IProtocolMessage> happened)
    {
        for (var start = Stopwatch.StartNew(); ;)
        {
            try
            {
                return await ControlClient.ConnectAsync(control, happened, CancellationToken.None).WaitAsync(Patience.Limit);
            }
            catch (IOException) when (start.Elapsed < Patience.Limit)
            {
                await Task.Delay(10);
            }
        }
    }
}
