namespace Vmm.Fleet.Fencing;

/// <summary>What a lease has to do with the cluster. <see cref="LeaseKeeper"/>'s thread calls.</summary>
internal interface ILeaseMember
{
    /// <summary>Whether the node is a member of its cluster, and sees more than half of it.</summary>
    bool MayRenew { get; }

    /// <summary>Whether the node reaches another one by which it could join, or needs none.</summary>
    bool ReachesSeed();

    /// <summary>Whether somebody listens at an address, HOST:PORT.</summary>
    bool Reaches(string address);

    /// <summary>
    /// The lease of a node has ended, and so have its VMs, although the database was there all the while: it is to leave the cluster, if
    /// it is a member, so that others start them. It is said again until the lease is renewed or fenced.
    /// </summary>
    void Remove(string node);
}
