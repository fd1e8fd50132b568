using System.Globalization;
using Vmm.Emulation.Machine;

namespace Vmm.Host.Options;

/// <summary>
/// <c>--smp [cpus=]n[,maxcpus=][,sockets=][,clusters=][,cores=][,threads=]</c>, with QEMU's rules for omitted members
/// (hw/core/machine-smp.c, "prefer cores over sockets"): clusters and threads are 1; missing maxcpus is the product, or cpus.
/// </summary>
/// <param name="Cpus">Enabled at power-on.</param>
public sealed record SmpOption(int Cpus, CpuTopology Topology)
{
    public const string Syntax = "[cpus=]n[,maxcpus=n][,sockets=n][,clusters=n][,cores=n][,threads=n]";

    private static readonly string[] s_members = ["cpus", "maxcpus", "sockets", "clusters", "cores", "threads"];

    /// <exception cref="OptionException">The text is malformed or the topology does not multiply out.</exception>
    public static SmpOption Parse(string text)
    {
        var given = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string part in text.Split(','))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? "cpus" : part[..equals];
            if (!s_members.Contains(name))
            {
                throw new OptionException($"Invalid parameter '{name}' in --smp");
            }

            if (!int.TryParse(part[(equals + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int value) || value == 0)
            {
                throw new OptionException($"Invalid CPU topology: {name} must be a number greater than zero");
            }

            if (!given.TryAdd(name, value))
            {
                throw new OptionException($"Parameter '{name}' is given twice in --smp");
            }
        }

        return Complete(given);
    }

    private static SmpOption Complete(Dictionary<string, int> given)
    {
        int cpus = given.GetValueOrDefault("cpus");
        int maxCpus = given.GetValueOrDefault("maxcpus");
        int sockets = given.GetValueOrDefault("sockets");
        int cores = given.GetValueOrDefault("cores");
        int clusters = given.GetValueOrDefault("clusters", 1);
        int threads = given.GetValueOrDefault("threads", 1);

        if (cpus == 0 && maxCpus == 0)
        {
            sockets = sockets == 0 ? 1 : sockets;
            cores = cores == 0 ? 1 : cores;
        }
        else
        {
            int wanted = maxCpus > 0 ? maxCpus : cpus;
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
        cpus = cpus > 0 ? cpus : maxCpus;
        string topology = $"sockets ({sockets}) * clusters ({clusters}) * cores ({cores}) * threads ({threads})";
        if (product != maxCpus)
        {
            throw new OptionException($"Invalid CPU topology: product of the hierarchy must match maxcpus: {topology} != maxcpus ({maxCpus})");
        }

        if (maxCpus < cpus)
        {
            throw new OptionException($"Invalid CPU topology: maxcpus must be equal to or greater than smp: {topology} == maxcpus ({maxCpus}) < smp_cpus ({cpus})");
        }

        if (maxCpus > MachineConfig.MaxCpus)
        {
            throw new OptionException($"Invalid SMP CPUs {maxCpus}. The max CPUs supported by machine 'virt' is {MachineConfig.MaxCpus}");
        }

        return new SmpOption(cpus, new CpuTopology(sockets, clusters, cores, threads));
    }

    private static long Product(long sockets, long clusters, long cores, long threads) => sockets * clusters * cores * threads;
}
