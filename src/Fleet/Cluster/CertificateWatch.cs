using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Akka.Cluster;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Isolation;
using Vmm.Management.Certificates;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Looks each second whether the node's certificate was renewed, or certificates were revoked, and passes it on: to links of the cluster
/// that are made from then on, and to the files of the node's VMs. A member whose certificate was revoked is removed from the cluster.
/// </summary>
internal sealed class CertificateWatch : MessageActor, IWithTimers
{
    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(1);

    private readonly ClusterLinks _links;
    private readonly string _folder;
    private readonly HostUser? _user;
    private X509Certificate2 _own;
    private RevocationList? _revoked;

    /// <param name="folder">Where the files for migrations are.</param>
    /// <param name="user">Who reads them beside the node; null for nobody.</param>
    public CertificateWatch(ClusterLinks links, string folder, HostUser? user)
    {
        (_links, _folder, _user, _own, _revoked) = (links, folder, user, links.Own, links.Revoked);
        Receive<Look>(_ => LookAgain());
    }

    private sealed record Look;

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() => Timers.StartPeriodicTimer(nameof(Look), new Look(), s_period);

    private void LookAgain()
    {
        (X509Certificate2 own, RevocationList? revoked) = (_links.Own, _links.Revoked);
        if (own != _own || revoked != _revoked)
        {
            try
            {
                _links.WriteMigrationLink(_folder, _user);
                TransportCertificate.Replace(Context.System, own);
                (_own, _revoked) = (own, revoked);
            }
            catch (Exception e) when (e is NodeConfigException or MissingMemberException)
            {
                Log.Error("What has changed of the certificates is not used yet: {Reason}", e.Message);
            }
        }

        var cluster = Akka.Cluster.Cluster.Get(Context.System);
        HashSet<string> gone = [.. _links.RevokedNodes];
        foreach (Member member in cluster.State.Members.Where(m =>
            m.Status is MemberStatus.Up or MemberStatus.WeaklyUp or MemberStatus.Joining && m.UniqueAddress != cluster.SelfUniqueAddress
            && ClusterNodes.NameOf(m) is { } name && gone.Contains(name)))
        {
            Log.Warning("Node {Node} is removed from the cluster: its certificate was revoked", ClusterNodes.NameOf(member));
            cluster.Down(member.Address);
        }
    }
}
