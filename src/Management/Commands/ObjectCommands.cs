using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>The members of an object that every type has; the others are the type's.</summary>
public sealed record ObjectAddArguments(string QomType, string Id);

public sealed record ObjectDelArguments(string Id);

/// <summary>Commands about the objects of <c>-object</c>.</summary>
public sealed class ObjectCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table)
    {
        table.AddOpen<ObjectAddArguments>("object-add", given => Add(given.ToJsonString()));
        table.Add<ObjectDelArguments>("object-del", arguments => Remove(arguments.Id));
    }

    /// <summary>Makes an object for devices and migrations to come.</summary>
    /// <param name="options">As <c>-object</c> has it, or a JSON object.</param>
    public Task Add(string options) => vm.Ask<ObjectCommandDone>(new AddObject(options));

    /// <summary>Forgets an object that nothing has.</summary>
    public Task Remove(string id) => vm.Ask<ObjectCommandDone>(new RemoveObject(id));
}
