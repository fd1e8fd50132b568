using Vmm.Fleet.Cluster;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Tests.Isolation;

/// <summary>What is said of cgroups, what is found and what is set, without any.</summary>
public sealed class CgroupTests : IDisposable
{
    private const string Unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    private const string Hybrid = "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    private const string Version1 = "34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
    private const string Container = "29 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw";

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("0::/vmm.slice/vmm-node.service", Unified, "/sys/fs/cgroup/vmm.slice/vmm-node.service")]
    [InlineData("4:memory:/a\n0::/b", $"{Version1}\n{Hybrid}", "/sys/fs/cgroup/unified/b")]
    [InlineData("0::/", Unified, "/sys/fs/cgroup")]
    [InlineData("0::/docker/1/b", Container, "/sys/fs/cgroup/b")]
    [InlineData("0::/docker/1", Container, "/sys/fs/cgroup")]
    [InlineData("0::/docker/12", Container, null)]
    [InlineData("0::/b", Version1, null)]
    [InlineData("4:memory:/a", $"{Version1}\n{Hybrid}", null)]
    public void Own_cgroup_is_found(string cgroups, string mounts, string? expected) =>
        Assert.Equal(expected, NodeCgroups.FindOwn(cgroups.Split('\n'), mounts.Split('\n')));

    [Theory]
    [InlineData(64L << 20, 1, 2, 2, "memory.max 612368384, memory.oom.group 1, pids.max 514, cpu.weight 100")]
    [InlineData(64L << 20, 1, 2, 4, "memory.max 612368384, memory.oom.group 1, pids.max 514, cpu.weight 100, cpu.max 300000 100000")]
    [InlineData(8L << 30, 4, 4, 6, "memory.max 10200547328, memory.oom.group 1, pids.max 516, cpu.weight 400, cpu.max 500000 100000")]
    [InlineData(1L << 46, 512, 512, 64, "memory.max 79165374070784, memory.oom.group 1, pids.max 1024, cpu.weight 10000")]
    public void VM_has_limits_of_its_specification(long memory, int cpus, int maxCpus, int cores, string expected)
    {
        var spec = new VmSpec(cpus, maxCpus, memory, "max", "/k", "", "", "", []);
        Assert.Equal(expected, string.Join(", ", VmCgroup.Limits(spec, cores).Select(limit => $"{limit.File} {limit.Value}")));
    }

    [Theory]
    [InlineData("", IsolationUse.Auto)]
    [InlineData(""", "cgroup": "auto" """, IsolationUse.Auto)]
    [InlineData(""", "cgroup": "off" """, IsolationUse.Off)]
    [InlineData(""", "cgroup": "required" """, IsolationUse.Required)]
    [InlineData(""", "cgroup": "on" """, null)]
    public void File_of_a_node_says_whether(string member, IsolationUse? expected)
    {
        string file = Path.Combine(_folder, "node.json");
        File.WriteAllText(file, $$"""{ "name": "n", "folder": "/tmp/n"{{member}} }""");
        if (expected == null)
        {
            Assert.Contains("cgroup", Assert.Throws<NodeConfigException>(() => NodeConfig.Load(file)).Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(expected, NodeConfig.Load(file).Cgroup);
        }
    }

    /// <summary>No test runs beside a unit of VMs.</summary>
    [Fact]
    public void Node_that_must_have_cgroups_says_in_one_line_that_it_has_none()
    {
        string said = Assert.Throws<NodeConfigException>(() => NodeCgroups.Open(IsolationUse.Required)).Message;
        Assert.StartsWith("cgroup: ", said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
        Assert.Null(NodeCgroups.Open(IsolationUse.Auto));
        Assert.Null(NodeCgroups.Open(IsolationUse.Off));
    }

    [Fact]
    public void Limits_are_set_where_their_controllers_are_and_follow_the_CPUs()
    {
        var cgroup = new VmCgroup(_folder);
        File.WriteAllText(Path.Combine(_folder, "cpu.weight"), "");
        cgroup.Make(new VmSpec(2, 4, 1 << 30, "max", "/k", "", "", "", []));
        Assert.Equal("200", File.ReadAllText(Path.Combine(_folder, "cpu.weight")));
        Assert.Equal(["cpu.weight"], Directory.EnumerateFiles(_folder).Select(Path.GetFileName));
        cgroup.Weigh(4);
        Assert.Equal("400", File.ReadAllText(Path.Combine(_folder, "cpu.weight")));
        new VmCgroup(Path.Combine(_folder, "none")).Weigh(4);
    }

    [Theory]
    [InlineData("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 1\n", "613416960\n",
        "the host killed it: it used more memory than its limit of 585 MiB")]
    [InlineData("max 7\noom 1\noom_kill 0\noom_group_kill 0\n", "613416960\n", null)]
    [InlineData("oom_kill 1\n", "max\n", null)]
    [InlineData(null, "613416960\n", null)]
    public void Kill_for_memory_is_told(string? events, string limit, string? expected)
    {
        File.WriteAllText(Path.Combine(_folder, "memory.max"), limit);
        if (events != null)
        {
            File.WriteAllText(Path.Combine(_folder, "memory.events"), events);
        }

        Assert.Equal(expected, new VmCgroup(_folder).WhyKilled());
    }
}
