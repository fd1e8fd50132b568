using System.Text.Json.Serialization;

namespace Vmm.Fleet.Isolation;

/// <summary>Whether processes of VMs reach no files of the host but their own.</summary>
public enum LandlockUse
{
    /// <summary>Where the host can have it so.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>They reach what the node's user does.</summary>
    [JsonStringEnumMemberName("off")]
    Off,

    /// <summary>No node without it.</summary>
    [JsonStringEnumMemberName("required")]
    Required,
}
