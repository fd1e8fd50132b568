using Akka.Actor;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Host.Migration;
using Vmm.Host.Options;

namespace Vmm.Fleet.Tests.Nodes;

/// <summary>Who may connect to a VM that waits for another node to send it.</summary>
public sealed class ReceiverTests : NodeTestKit
{
    private const string Vm = "vm1", Person = "alice";

    [Fact]
    public async Task VM_that_waits_lets_in_the_node_that_sends_it_and_nobody_else_of_the_fleet()
    {
        using var fleet = new TestFleet("Host=127.0.0.1", 3);
        fleet.Authority.Issue(
            new FleetIdentity(Person, CertificateKind.Client, FleetRole.Admin), [], DateTimeOffset.UtcNow, TimeSpan.FromDays(1));
        MigrationLink[] links = [.. Enumerable.Range(1, 3).Select(node => LinkOf(fleet, node))];
        IActorRef source = StartNode(Settings(NewFolder()) with { Migration = links[0] });
        NodeSettings target = Settings(NewFolder()) with { Migration = links[1] };
        IActorRef receiver = StartNode(target);
        Do(source, new RunVm(Vm, NewId(), Idle));
        RequestEnded waits = Do(receiver, new ReceiveVm(Vm, NewId(), Idle, TestFleet.NodeName(1)));
        Assert.True(waits.Outcome == RequestOutcome.Done, waits.Detail);

        // Both certificates are of the fleet's authority, and good for clients.
        string person = NewFolder();
        (string certificate, string key) = fleet.Authority.FilesOf(Person);
        File.Copy(Path.Combine(links[0].Folder, "ca-cert.pem"), Path.Combine(person, "ca-cert.pem"));
        File.Copy(certificate, Path.Combine(person, "client-cert.pem"));
        File.Copy(key, Path.Combine(person, "client-key.pem"));
        foreach ((string folder, string name) in ((string, string)[])[(person, Person), (links[2].Folder, "node3")])
        {
            var transport = new MigrationTransport(
                ObjectTable.Of(CommandLine.Parse(["-object", $"tls-creds-x509,id=tls,dir={folder}"])));
            IOException refused = await Assert.ThrowsAsync<IOException>(
                () => transport.Parse(waits.Detail, "tls", "").ConnectAsync(CancellationToken.None));
            Assert.StartsWith("TLS handshake with the receiver failed: ", refused.Message, StringComparison.Ordinal);
            string said = $"TLS x509 authz check for CN={name} is denied";
            Patience.Until(
                () => File.ReadLines(target.FolderOf(Vm).Log).Any(line => line.Contains(said, StringComparison.Ordinal)), said);
        }

        Await(receiver, Vm, ProcessState.Receiving);
        RequestEnded sent = Do(source, new SendVm(Vm, NewId(), waits.Detail));
        Assert.True(sent.Outcome == RequestOutcome.Done, sent.Detail);
        Await(receiver, Vm, ProcessState.Running);
    }

    private MigrationLink LinkOf(TestFleet fleet, int node) =>
        ClusterLinks.Read(TestFleet.NodeName(node), fleet.Config(node)).WriteMigrationLink(NewFolder(), reader: null);
}
