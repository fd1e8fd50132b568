using Vmm.Emulation.Machine;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class CommandLineTests
{
    private static RunOptions Parse(string line) => CommandLine.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static string Refuse(string line) => Assert.Throws<OptionException>(() => Parse(line)).Message;

    [Theory]
    [InlineData("-smp cpus=4,maxcpus=6 -m 300M -cpu host -kernel K")]
    [InlineData("--smp cpus=4,maxcpus=6 --m 300M --cpu host --kernel K")]
    [InlineData("--smp=cpus=4,maxcpus=6 --memory=300M --cpu=host --kernel=K")]
    [InlineData("-kernel K -smp 4 -smp maxcpus=6 -memory 64M -m 300M -cpu max -cpu host")]
    public void One_dash_or_two_and_later_ones_add_or_replace(string line)
    {
        MachineOptions machine = Parse(line).Machine;
        Assert.Equal(new SmpOption(4, new CpuTopology(1, 1, 6, 1)), SmpOption.Parse(machine.Smp));
        Assert.Equal(300ul << 20, MemoryOption.Parse(machine.Memory));
        Assert.Equal(("host", "K"), (machine.Cpu, machine.Kernel));
    }

    [Fact]
    public void Machine_options_merge()
    {
        MachineOption machine = MachineOption.Parse(Parse("-machine acpi=off,gic-version=3 -M virt,dtb-randomness=off -machine acpi=auto,its=off").Machine.Machine);
        Assert.True(machine.Acpi);
        Assert.False(machine.DtbRandomness);
        Assert.Null(machine.OnlineCapable);
    }

    [Fact]
    public void Value_may_look_like_an_option_or_be_empty()
    {
        RunOptions options = CommandLine.Parse(["-append", "-kernel", "-kernel", "K", "-initrd", ""]);
        Assert.Equal(("-kernel", "K", ""), (options.Machine.Append, options.Machine.Kernel, options.Machine.Initrd));
    }

    [Theory]
    [InlineData("-foo", "-foo: invalid option")]
    [InlineData("--foo=1", "--foo=1: invalid option")]
    [InlineData("-nographic=1", "-nographic=1: invalid option")]
    [InlineData("--nographic=1", "--nographic=1: invalid option")]
    [InlineData("-", "-: invalid option")]
    [InlineData("--", "--: invalid option")]
    [InlineData("---smp 4", "---smp: invalid option")]
    [InlineData("-smp", "-smp: requires an argument")]
    [InlineData("-m 1 --kernel", "--kernel: requires an argument")]
    [InlineData("disk.img", "disk.img: not supported: a disk image; there are no disks")]
    [InlineData("-netdev user,id=n", "-netdev: not supported: there are no network devices")]
    [InlineData("-daemonize", "-daemonize: not supported: start it in the background with your shell or service manager")]
    [InlineData("-nic user", "-nic user: not supported: there are no network devices")]
    [InlineData("-display gtk", "-display gtk: not supported: there is no display")]
    public void Wrong_options_are_refused_by_name(string line, string message) => Assert.Equal(message, Refuse(line));

    [Theory]
    [InlineData("-accel kvm:jit", true)]
    [InlineData("-accel kvm -accel jit,stats=on", true)]
    [InlineData("-enable-kvm -accel jit", true)]
    [InlineData("-machine virt,accel=kvm:jit", true)]
    [InlineData("-accel jit:interp", false)]
    [InlineData("-accel tcg,thread=multi,tb-size=64", false)]
    public void Engines_are_tried_in_their_order(string line, bool notice)
    {
        AcceleratorOption engine = Parse(line).Machine.ChooseAccelerator();
        Assert.Equal(Accelerator.Jit, engine.Accelerator);
        Assert.Equal(notice ? "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it): falling back to jit" : null, engine.Notice);
    }

    [Fact]
    public void Enable_kvm_alone_names_the_choice() => Assert.Equal(
        "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)",
        Assert.Throws<OptionException>(() => Parse("--enable-kvm -machine virt").Machine.ChooseAccelerator()).Message);

    [Theory]
    [InlineData("-help", "-smp [cpus=]n")]
    [InlineData("-h", "-kernel FILE")]
    [InlineData("-version", "Vmm ")]
    [InlineData("-cpu help -foo", "neoverse-n1")]
    [InlineData("-machine help", "virt")]
    [InlineData("-M virt,help", "gic-version=3|max")]
    [InlineData("-accel help", "interp")]
    public void Questions_are_answered(string line, string part) => Assert.Contains(part, Parse(line).Answer, StringComparison.Ordinal);

    [Fact]
    public void Options_of_QEMU_are_known_each_by_one_row()
    {
        string[] names = [.. OptionTable.Supported.Concat(OptionTable.Refused).SelectMany(r => r.Names)];
        Assert.Equal(names.Length, names.Distinct().Count());
    }

    [Theory]
    [InlineData("a=1,b=x,,y,c", "a=1|b=x,y|c=")]
    [InlineData("virt,acpi=off", "type=virt|acpi=off")]
    [InlineData("", "type=")]
    public void Key_values_are_split_as_QEMU_does(string text, string pairs) =>
        Assert.Equal(pairs, string.Join('|', KeyValues.Parse(text, "type").Select(p => $"{p.Key}={p.Value}")));
}
