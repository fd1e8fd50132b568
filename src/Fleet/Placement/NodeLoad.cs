namespace Vmm.Fleet.Placement;

/// <summary>
/// A node with its VMs. One that is on its way to another node has room on both until it has arrived, but is load of the other one alone.
/// One thread at a time.
/// </summary>
internal sealed class NodeLoad(NodeFacts facts, PlacementOptions options)
{
    private readonly SortedDictionary<string, VmFacts> _vms = new(StringComparer.Ordinal);
    private readonly HashSet<string> _leaving = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _groups = new(StringComparer.Ordinal);
    private long _memory;
    private long _cpus;
    private long _memoryLeaving;
    private long _cpusLeaving;

    public NodeFacts Facts { get; set; } = facts;

    /// <summary>All that have room here, by name.</summary>
    public IEnumerable<VmFacts> Vms => _vms.Values;

    /// <summary>Those that are here to stay.</summary>
    public IEnumerable<VmFacts> Staying => _vms.Values.Where(vm => !_leaving.Contains(vm.Name));

    /// <summary>Whether VMs are on their way from here.</summary>
    public bool IsLeft => _leaving.Count > 0;

    /// <summary>The larger of the shares of memory and CPUs that its VMs have: 0 to 1.</summary>
    public double Load => LoadOf(0, 0);

    private double MostCpus => Facts.Cores * options.CpusPerCore;

    public double LoadWith(VmFacts vm) => LoadOf(vm.MemoryBytes, vm.Cpus);

    public double LoadWithout(VmFacts vm) => LoadOf(-vm.MemoryBytes, -vm.Cpus);

    public void Add(VmFacts vm)
    {
        _vms.Add(vm.Name, vm);
        Count(vm, 1);
    }

    public void Remove(VmFacts vm)
    {
        Stay(vm);
        _vms.Remove(vm.Name);
        Count(vm, -1);
    }

    /// <summary>It is on its way to another node.</summary>
    public void Leave(VmFacts vm)
    {
        if (_leaving.Add(vm.Name))
        {
            _memoryLeaving += vm.MemoryBytes;
            _cpusLeaving += vm.Cpus;
        }
    }

    /// <summary>It is not on its way, or no more.</summary>
    public void Stay(VmFacts vm)
    {
        if (_leaving.Remove(vm.Name))
        {
            _memoryLeaving -= vm.MemoryBytes;
            _cpusLeaving -= vm.Cpus;
        }
    }

    /// <summary>Why a VM cannot come here, for a message; null if it can.</summary>
    public string? Refuse(VmFacts vm)
    {
        if (!Facts.TakesVms)
        {
            return "takes no VMs";
        }

        foreach ((string key, string value) in vm.Labels)
        {
            if (Facts.Labels.GetValueOrDefault(key) != value)
            {
                return $"has not the label {key}={value}";
            }
        }

        return vm.AntiAffinity != null && _groups.ContainsKey(vm.AntiAffinity) ? $"has a VM of the group '{vm.AntiAffinity}'"
            : vm.MemoryBytes > Facts.MemoryBytes - _memory
                ? $"has {(Facts.MemoryBytes - _memory) >> 20} MiB of memory free, and {vm.MemoryBytes >> 20} are needed"
            : _cpus + vm.Cpus > MostCpus ? $"has room for {(long)MostCpus - _cpus} CPUs, and {vm.Cpus} are needed"
            : null;
    }

    private void Count(VmFacts vm, int times)
    {
        _memory += times * vm.MemoryBytes;
        _cpus += times * vm.Cpus;
        if (vm.AntiAffinity is not { } group)
        {
            return;
        }

        _groups[group] = _groups.GetValueOrDefault(group) + times;
        if (_groups[group] == 0)
        {
            _groups.Remove(group);
        }
    }

    // A node without memory or cores is full.
    private double LoadOf(long memory, long cpus) => Math.Max(
        Facts.MemoryBytes > 0 ? (double)(_memory - _memoryLeaving + memory) / Facts.MemoryBytes : 1,
        MostCpus > 0 ? (_cpus - _cpusLeaving + cpus) / MostCpus : 1);
}
