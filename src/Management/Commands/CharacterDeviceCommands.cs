using Vmm.Management.CharacterDevices;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record ChardevInfo(string Label, string Filename, bool FrontendOpen);

public sealed record ChardevBackendInfo(string Name);

/// <summary>Commands about character devices.</summary>
/// <param name="devices">Gives the present devices.</param>
public sealed class CharacterDeviceCommands(Func<IEnumerable<CharacterDevice>> devices)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-chardev", () => Task.FromResult(Query()));
        table.AddQuery("query-chardev-backends", () =>
            Task.FromResult<ChardevBackendInfo[]>([new("file"), new("socket"), new("null"), new("stdio")]));
    }

    public ChardevInfo[] Query() => [.. devices().Select(d => new ChardevInfo(d.Label, d.FileName, FrontendOpen: true))];
}
