using Vmm.Fleet.Isolation;

namespace Vmm.Fleet.Tests.Isolation;

/// <summary>A test that makes cgroups: skipped unless the host has version 2 mounted, and lets this process make some.</summary>
internal sealed class CgroupFactAttribute : FactAttribute
{
    public CgroupFactAttribute()
    {
        try
        {
            if (MountPoint == null)
            {
                Skip = "the host has no cgroup v2 that this process sees";
                return;
            }

            string probe = Path.Combine(MountPoint, $"vmm-probe-{Guid.NewGuid():N}");
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Skip = $"this process makes no cgroups: {e.Message}";
        }
    }

    /// <summary>Where the root of all cgroups that this process sees is; null if they are not mounted.</summary>
    public static string? MountPoint { get; } = NodeCgroups.FindOwn(["0::/"], File.ReadAllLines("/proc/self/mountinfo"));
}
