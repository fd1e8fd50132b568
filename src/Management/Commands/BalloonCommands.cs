using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record BalloonInfo(long Actual);

public sealed record BalloonArguments(long Value);

/// <summary>The guest has another amount of RAM (QEMU, qapi/machine.json).</summary>
public sealed record BalloonChangeEvent(long Actual);

/// <summary>Commands about the balloon.</summary>
public sealed class BalloonCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-balloon", Query);
        table.Add<BalloonArguments>("balloon", arguments => Set(arguments.Value));
    }

    public async Task<BalloonInfo> Query() => new((await vm.Ask<BalloonSize>(new GetBalloon()).ConfigureAwait(false)).Bytes);

    public async Task Set(long bytes)
    {
        _ = await vm.Ask<BalloonSize>(new GetBalloon()).ConfigureAwait(false);
        if (bytes <= 0)
        {
            throw new QapiException("Parameter 'target' expects a size");
        }

        _ = await vm.Ask<BalloonSize>(new SetBalloon(bytes)).ConfigureAwait(false);
    }
}
