namespace Vmm.Fleet.Tests.Isolation;

/// <summary>A test that starts processes as another user: skipped unless it runs as root.</summary>
internal sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = Environment.IsPrivilegedProcess ? null : "only root starts processes as another user";
}
