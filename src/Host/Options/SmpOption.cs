using Vmm.Emulation.Boards;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// <c>-smp [cpus=]n[,maxcpus=][,disabledcpus=][,sockets=][,clusters=][,cores=][,threads=]</c>, with QEMU's rules for omitted members
/// (hw/core/machine-smp.c, "prefer cores over sockets"): clusters and threads are 1; missing maxcpus is the product, or cpus and
/// disabledcpus. <c>disabledcpus</c> is of the later drafts of the series (RFC V6): CPUs after those of <c>cpus</c> that are present and
/// administratively disabled.
/// </summary>
/// <param name="Cpus">The number of CPUs that are enabled at power-on.</param>
public sealed record SmpOption(int Cpus, CpuTopology Topology)
{
    public const string Syntax = "[cpus=]n[,maxcpus=n][,disabledcpus=n][,sockets=n][,clusters=n][,cores=n][,threads=n]";

    private static readonly string[] s_members = ["cpus", "maxcpus", "disabledcpus", "sockets", "clusters", "cores", "threads"];

    // Levels of the topology that only QEMU's other machines have.
    private static readonly string[] s_foreign = ["drawers", "books", "dies", "modules"];

    /// <summary>The number of CPUs after <see cref="Cpus"/> that are present and administratively disabled at power-on.</summary>
    public int DisabledCpus { get; init; }

    /// <summary>The members of one <c>-smp</c> together with those of earlier ones that it does not repeat.</summary>
    /// <exception cref="OptionException">The text is malformed: one line.</exception>
    public static IReadOnlyDictionary<string, int> Add(IReadOnlyDictionary<string, int> earlier, string text)
    {
        var given = new Dictionary<string, int>(earlier, StringComparer.Ordinal);
        foreach ((string name, string? number) in KeyValues.Parse(text, "cpus"))
        {
            bool foreign = s_foreign.Contains(name);
            if (!foreign && !s_members.Contains(name))
            {
                throw new OptionException($"Parameter 'smp.{name}' is unexpected");
            }

            if (!QemuNumber.TryParse(number, out long value) || value is < 1 or > int.MaxValue)
            {
                throw new OptionException($"Invalid CPU topology: {name} must be a number greater than zero");
            }

            if (foreign && value > 1)
            {
                throw new OptionException($"{name} > 1 not supported by this machine's CPU topology");
            }

            given[name] = (int)value;
        }

        return given;
    }

    /// <summary>The meaning of the members of all <c>-smp</c>; one CPU if there are none.</summary>
    /// <exception cref="OptionException">The topology does not multiply out: one line.</exception>
    public static SmpOption Of(IReadOnlyDictionary<string, int> given)
    {
        int cpus = given.GetValueOrDefault("cpus");
        int maxCpus = given.GetValueOrDefault("maxcpus");
        int disabled = given.GetValueOrDefault("disabledcpus");
        int sockets = given.GetValueOrDefault("sockets");
        int cores = given.GetValueOrDefault("cores");
        int clusters = given.GetValueOrDefault("clusters", 1);
        int threads = given.GetValueOrDefault("threads", 1);

        if (cpus == 0 && maxCpus == 0 && sockets == 0 && cores == 0)
        {
            cpus = 1;
        }

        if (cpus == 0 && maxCpus == 0)
        {
            sockets = sockets == 0 ? 1 : sockets;
            cores = cores == 0 ? 1 : cores;
        }
        else
        {
            int wanted = maxCpus > 0 ? maxCpus : (int)Math.Min((long)cpus + disabled, int.MaxValue);
            if (cores == 0)
            {
                sockets = sockets == 0 ? 1 : sockets;
                cores = (int)(wanted / Product(sockets, clusters, 1, threads));
            }
            else if (sockets == 0)
            {
                sockets = (int)(wanted / Product(1, clusters, cores, threads));
            }
        }

        long product = Product(sockets, clusters, cores, threads);
        maxCpus = maxCpus > 0 ? maxCpus : (int)Math.Min(product == 0 ? cpus : product, int.MaxValue);
        cpus = cpus > 0 ? cpus : maxCpus - disabled;
        string topology = $"sockets ({sockets}) * clusters ({clusters}) * cores ({cores}) * threads ({threads})";
        if (product != maxCpus)
        {
            throw new OptionException(
                $"Invalid CPU topology: product of the hierarchy must match maxcpus: {topology} != maxcpus ({maxCpus})");
        }

        if (maxCpus < cpus)
        {
            throw new OptionException($"Invalid CPU topology: maxcpus must be equal to or greater than smp: {topology} == maxcpus "
                + $"({maxCpus}) < smp_cpus ({cpus})");
        }

        if (maxCpus > MachineConfig.MaxCpus)
        {
            throw new OptionException($"Invalid SMP CPUs {maxCpus}. The max CPUs supported by machine 'virt' is {MachineConfig.MaxCpus}");
        }

        return cpus < 1 || disabled > maxCpus - cpus
            ? throw new OptionException($"Invalid CPU topology: maxcpus must be greater than disabledcpus, and have room for cpus beside: "
            + $"{topology} == maxcpus ({maxCpus}), disabledcpus ({disabled})")
            : new SmpOption(cpus, new CpuTopology(sockets, clusters, cores, threads)) { DisabledCpus = disabled };
    }

    // Multiplies the counts. A product that overflows becomes the largest number, which is no valid number of CPUs.
    private static long Product(int sockets, int clusters, int cores, int threads) =>
        Times(Times(Times(sockets, clusters), cores), threads);

    private static long Times(long product, long factor) =>
        factor != 0 && product > long.MaxValue / factor ? long.MaxValue : product * factor;
}
