using System.Text.Json.Serialization;

namespace Vmm.Fleet.Isolation;

/// <summary>Whether processes of VMs are confined by something that not every host has: by Landlock, or by cgroups.</summary>
public enum IsolationUse
{
    /// <summary>Where the host has it, and lets the node use it.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>They reach, and may use, what the node itself does.</summary>
    [JsonStringEnumMemberName("off")]
    Off,

    /// <summary>No node without it.</summary>
    [JsonStringEnumMemberName("required")]
    Required,
}
