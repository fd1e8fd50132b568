namespace Vmm.Fleet.Scaling;

/// <summary>Which CPUs a guest would not give back, or not take, and until when it is not asked again.</summary>
internal sealed class Refusals
{
    private const int MostDoublings = 4;

    private readonly Dictionary<int, (DateTimeOffset Until, int Times)> _cpus = [];

    public bool Has(int cpu, DateTimeOffset now) =>
        _cpus.TryGetValue(cpu, out (DateTimeOffset Until, int Times) refusal) && now < refusal.Until;

    public void Add(int cpu, DateTimeOffset now, TimeSpan first)
    {
        int times = _cpus.TryGetValue(cpu, out (DateTimeOffset Until, int Times) before) ? before.Times + 1 : 0;
        _cpus[cpu] = (now + (first * (1 << Math.Min(times, MostDoublings))), times);
    }

    public void Remove(int cpu) => _cpus.Remove(cpu);
}
