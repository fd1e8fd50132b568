using Vmm.Fleet.Certificates;
using Vmm.Host.Commands;

namespace Vmm.Fleet.Tests.Commands;

/// <summary>Commands of the fleet that need no node.</summary>
public sealed class FleetCommandsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-fleet-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private Task<int> CaAsync(params string[] words) => FleetCaCommand.Create().Parse([.. words, "--folder", At("ca")]).InvokeAsync();

    [Fact]
    public async Task An_authority_issues_renews_and_lists()
    {
        Assert.Equal(ExitCode.Success, await CaAsync("init", "test"));
        Assert.Equal(ExitCode.Success, await CaAsync("issue", "node1", "--host", "127.0.0.1", "node1.example"));
        Assert.Equal(ExitCode.Success, await CaAsync("issue", "alice", "--role", "operator", "--days", "10"));
        Assert.Equal(ExitCode.Success, await CaAsync("renew", "node1"));
        Assert.Equal(ExitCode.Success, await CaAsync("list"));
        using FleetAuthority authority = FleetAuthority.Open(At("ca"));
        Assert.Equal(
            [new("alice", CertificateKind.Client, FleetRole.Operator), new FleetIdentity("node1", CertificateKind.Node, null)],
            authority.List().Select(c => c.Identity!));
        Assert.Equal(["node1.example", "127.0.0.1"], authority.List()[1].Hosts);
        Assert.Equal([true, false], authority.List().Select(c => c.IsDue(DateTimeOffset.UtcNow)));
        Assert.Equal(ExitCode.Success, await CaAsync("revoke", "node1"));
        Assert.Equal(["alice"], authority.List().Select(c => c.Identity!.Name));
    }

    [Fact]
    public async Task What_an_authority_cannot_do_is_bad_input()
    {
        Assert.Equal(ExitCode.BadInput, await CaAsync("issue", "node1", "--host", "h"));
        Assert.Equal(ExitCode.Success, await CaAsync("init", "test"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("init", "test"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("issue", "node1"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("issue", "node1", "--host", "h", "--role", "admin"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("renew", "nobody"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("revoke", "nobody"));
        Assert.Equal(ExitCode.BadInput, await CaAsync("issue", "bob", "--role", "root"));
    }

    [Fact]
    public async Task A_simulation_is_told_and_drawn()
    {
        string trace = Path.Combine(AppContext.BaseDirectory, "Scaling", "traces", "web.csv");
        Task<int> SimulateAsync(params string[] words) => FleetSimulateCommand.Create().Parse(words).InvokeAsync();
        Assert.Equal(ExitCode.Success, await SimulateAsync(trace, "--maximum", "8", "--down-after", "30", "--plot", At("web.svg")));
        Assert.StartsWith("<svg ", await File.ReadAllTextAsync(At("web.svg")), StringComparison.Ordinal);
        Assert.Equal(ExitCode.BadInput, await SimulateAsync(trace, "--maximum", "0"));
        Assert.Equal(ExitCode.BadInput, await SimulateAsync(At("none.csv")));
        Assert.Equal(ExitCode.BadInput, await SimulateAsync(At("web.svg")));
        Assert.Equal(ExitCode.BadInput, await SimulateAsync(trace, "--down-after", "NaN"));
    }
}
