using System.Text.Json.Serialization;

namespace Vmm.Fleet.Isolation;

/// <summary>Whether processes of VMs have limits by cgroup.</summary>
public enum CgroupUse
{
    /// <summary>Where the host lets the node set them.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>They have those of the node.</summary>
    [JsonStringEnumMemberName("off")]
    Off,

    /// <summary>No node without them.</summary>
    [JsonStringEnumMemberName("required")]
    Required,
}
