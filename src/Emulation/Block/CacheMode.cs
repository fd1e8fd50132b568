namespace Vmm.Emulation.Block;

/// <summary>
/// How writes reach the host's disk: QEMU's three booleans behind <c>cache=</c> (QEMU, qemu-options.hx, "-drive", "cache=").
/// </summary>
/// <param name="WriteBack">A write ends before it is on stable storage; else a flush is part of each write.</param>
/// <param name="Direct">Past the host's page cache (O_DIRECT).</param>
/// <param name="NoFlush">Flushes do nothing: after a loss of power the image is lost.</param>
public readonly record struct CacheMode(bool WriteBack, bool Direct, bool NoFlush)
{
    private static readonly (string Name, CacheMode Mode)[] s_modes =
    [
        ("writeback", new(true, false, false)),
        ("none", new(true, true, false)),
        ("writethrough", new(false, false, false)),
        ("directsync", new(false, true, false)),
        ("unsafe", new(true, false, true)),
    ];

    /// <summary>QEMU's default.</summary>
    public static CacheMode Default => s_modes[0].Mode;

    /// <summary>QEMU's names, in the order of its manual.</summary>
    public static IEnumerable<string> Names => s_modes.Select(m => m.Name);

    /// <summary>The mode of one of QEMU's names; null for others.</summary>
    public static CacheMode? Parse(string name)
    {
        int index = Array.FindIndex(s_modes, m => m.Name == name);
        return index < 0 ? null : s_modes[index].Mode;
    }
}
