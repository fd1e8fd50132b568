using Vmm.Emulation.Machine;
using Vmm.Host.Console;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class OptionTests
{
    [Theory]
    [InlineData("4", 4, 1, 1, 4, 1)]
    [InlineData("cpus=4,maxcpus=6", 4, 1, 1, 6, 1)]
    [InlineData("maxcpus=8,sockets=2", 8, 2, 1, 4, 1)]
    [InlineData("2,maxcpus=16,sockets=2,clusters=2,cores=2,threads=2", 2, 2, 2, 2, 2)]
    [InlineData("cpus=6,cores=3", 6, 2, 1, 3, 1)]
    [InlineData("sockets=2,cores=3", 6, 2, 1, 3, 1)]
    [InlineData("cpus=1,maxcpus=512", 1, 1, 1, 512, 1)]
    public void Smp_omitted_members_follow_QEMUs_rules(string text, int cpus, int sockets, int clusters, int cores, int threads) =>
        Assert.Equal(new SmpOption(cpus, new CpuTopology(sockets, clusters, cores, threads)), SmpOption.Parse(text));

    [Theory]
    [InlineData("cpus=4,maxcpus=2", "maxcpus must be equal to or greater than smp")]
    [InlineData("cpus=4,maxcpus=6,sockets=4", "product of the hierarchy must match maxcpus")]
    [InlineData("0", "greater than zero")]
    [InlineData("cpus=x", "greater than zero")]
    [InlineData("dies=2", "Invalid parameter 'dies'")]
    [InlineData("cpus=2,cpus=3", "given twice")]
    [InlineData("513", "max CPUs supported")]
    public void Smp_wrong_says_what(string text, string message) =>
        Assert.Contains(message, Assert.Throws<OptionException>(() => SmpOption.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("300", 300ul << 20)]
    [InlineData("300M", 300ul << 20)]
    [InlineData("2G", 2ul << 30)]
    [InlineData("65536k", 64ul << 20)]
    public void Memory_size_has_QEMUs_suffixes(string text, ulong bytes) => Assert.Equal(bytes, MachineOptions.ParseSize(text));

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("1M")]
    [InlineData("99999G")]
    [InlineData("20001K")]
    public void Memory_size_wrong_is_refused(string text) => Assert.Throws<OptionException>(() => MachineOptions.ParseSize(text));

    [Theory]
    [InlineData("virt", "max", null, "no kernel")]
    [InlineData("virt", "cortex-a53", "/dev/null", "unable to find CPU model 'cortex-a53'")]
    [InlineData("virt,gic-version=2", "max", "/dev/null", "gic-version=2 is not supported")]
    [InlineData("virt,its=on", "max", "/dev/null", "its=on")]
    [InlineData("pc", "max", "/dev/null", "unsupported machine type 'pc'")]
    [InlineData("virt", "max", "/nonexistent", "cannot read the kernel")]
    [InlineData("virt", "max", "/dev/null", "not an arm64 Image")]
    [InlineData("virt", "max", "/bin/sh", "ELF")]
    public void Config_wrong_says_what_in_one_line(string machine, string cpu, string? kernel, string message)
    {
        var options = new MachineOptions(kernel, null, "", "1", "64M", cpu, machine);
        string said = Assert.Throws<OptionException>(() => options.ToConfig()).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Theory]
    [InlineData("kvm", "unsupported accelerator 'kvm'; there are jit, interp and lockstep")]
    [InlineData("interp,tb-size=1", "accelerator interp has no property 'tb-size'")]
    [InlineData("jit,one=1", "accelerator jit has no property 'one'")]
    [InlineData("interp,stats=on", "accelerator interp has no property 'stats'")]
    [InlineData("jit,stats=yes", "stats is on or off, not 'yes'")]
    [InlineData("jit,tb-size=0", "tb-size is a number of MiB from 1 to 1024, not '0'")]
    [InlineData("jit,tb-size=x", "tb-size is a number of MiB from 1 to 1024, not 'x'")]
    public void Accelerator_wrong_says_what(string accel, string message)
    {
        var options = new MachineOptions("/dev/null", null, "", "1", "64M", "max", "virt", accel);
        Assert.Equal(message, Assert.Throws<OptionException>(() => options.ToConfig()).Message);
    }

    [Fact]
    public void Escape_sequences_are_found_and_the_rest_passes()
    {
        var filter = new EscapeFilter();
        var sent = new List<byte>();
        var actions = new List<ConsoleAction>();
        foreach (byte key in "ab\u0001xc\u0001c\u0001h\u0001\u0001\u0001zd"u8)
        {
            if (filter.Take(key, out ConsoleAction action))
            {
                sent.Add(key);
            }

            if (action != ConsoleAction.None)
            {
                actions.Add(action);
            }
        }

        Assert.Equal("abc\u0001d"u8.ToArray(), sent);
        Assert.Equal([ConsoleAction.Quit, ConsoleAction.SwitchMonitor, ConsoleAction.Help], actions);
    }
}
