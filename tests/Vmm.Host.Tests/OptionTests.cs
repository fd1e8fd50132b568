using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu.Decoding;
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
    [InlineData("4,dies=1,books=1", 4, 1, 1, 4, 1)]
    [InlineData("cpus=2,cpus=3", 3, 1, 1, 3, 1)]
    public void Smp_omitted_members_follow_QEMUs_rules(string text, int cpus, int sockets, int clusters, int cores, int threads) =>
        Assert.Equal(new SmpOption(cpus, new CpuTopology(sockets, clusters, cores, threads)), Smp(text));

    private static SmpOption Smp(string text) => SmpOption.Of(CommandLine.Parse(["-smp", text]).Machine.Smp);

    [Theory]
    [InlineData("cpus=4,maxcpus=2", "maxcpus must be equal to or greater than smp")]
    [InlineData("cpus=4,maxcpus=6,sockets=4", "product of the hierarchy must match maxcpus")]
    [InlineData("0", "greater than zero")]
    [InlineData("cpus=x", "greater than zero")]
    [InlineData("dies=2", "dies > 1 not supported by this machine's CPU topology")]
    [InlineData("foo=2", "Parameter 'smp.foo' is unexpected")]
    [InlineData("cpus=4,maxcpus=6,disabledcpus=3", "maxcpus must be greater than disabledcpus")]
    [InlineData("maxcpus=6,disabledcpus=6", "maxcpus must be greater than disabledcpus")]
    [InlineData("4,sockets=65536,clusters=65536,threads=2147483647", "product of the hierarchy must match maxcpus")]
    [InlineData("513", "max CPUs supported")]
    public void Smp_wrong_says_what(string text, string message) =>
        Assert.Contains(message, Assert.Throws<OptionException>(() => Smp(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("cpus=4,disabledcpus=2", 4, 2, 6)]
    [InlineData("maxcpus=6,disabledcpus=2", 4, 2, 6)]
    [InlineData("cpus=4,disabledcpus=2,maxcpus=8", 4, 2, 8)]
    [InlineData("disabledcpus=3", 1, 3, 4)]
    public void Smp_disabled_CPUs_are_possible_ones(string text, int cpus, int disabled, int possible)
    {
        SmpOption smp = Smp(text);
        Assert.Equal((cpus, disabled, possible), (smp.Cpus, smp.DisabledCpus, smp.Topology.Count));
    }

    [Theory]
    [InlineData("300", 300ul << 20)]
    [InlineData("size=300M", 300ul << 20)]
    [InlineData("64M,size=300M", 300ul << 20)]
    [InlineData("300M", 300ul << 20)]
    [InlineData("2G", 2ul << 30)]
    [InlineData("65536k", 64ul << 20)]
    public void Memory_size_has_QEMUs_suffixes(string text, ulong bytes) => Assert.Equal(bytes, MemoryOption.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("1M")]
    [InlineData("99999G")]
    [InlineData("20001K")]
    [InlineData("1G,slots=2,maxmem=2G")]
    [InlineData("size=1G,foo=1")]
    public void Memory_size_wrong_is_refused(string text) => Assert.Throws<OptionException>(() => MemoryOption.Parse(text));

    [Theory]
    [InlineData("virt", "max", null, "no kernel")]
    [InlineData("virt", "cortex-a15", "/dev/null", "unable to find CPU model 'cortex-a15'")]
    [InlineData("virt,gic-version=2", "max", "/dev/null", "gic-version=2 is not supported")]
    [InlineData("virt,its=maybe", "max", "/dev/null", "Parameter 'its' expects 'on' or 'off'")]
    [InlineData("virt,acpi=maybe", "max", "/dev/null", "Parameter 'acpi' expects 'on' or 'off'")]
    [InlineData("virt,foo=1", "max", "/dev/null", "Property 'virt-machine.foo' not found")]
    [InlineData("virt,kernel=/dev/null", "max", null, "kernel is not supported: give it as -kernel")]
    [InlineData("virt,accel=jit", "max", "/dev/null", "incompatible", "interp")]
    [InlineData("virt", "neoverse-n1,sve=on", "/dev/null", "sve=on is not supported: the CPU has no SVE")]
    [InlineData("virt", "max,sve=off,sve512=on", "/dev/null", "cannot enable sve512: SVE must be enabled to enable vector lengths")]
    [InlineData("virt", "max,sve=off,sve-max-vq=4", "/dev/null", "cannot enable sve512: SVE must be enabled")]
    [InlineData("virt", "max,sve-max-vq=17", "/dev/null", "unsupported SVE vector length: valid sve-max-vq in range [1-16]")]
    [InlineData("virt", "max,sve-max-vq=4,sve1024=on", "/dev/null",
        "cannot enable sve1024: sve1024 is larger than the maximum vector length, sve-max-vq=4 (512 bits)")]
    [InlineData("virt", "max,sve=on,sve128=off", "/dev/null", "cannot disable sve128: with SVE enabled, at least one")]
    [InlineData("virt", "max,sve512=on,sve256=off", "/dev/null",
        "cannot disable sve256: it is required as a power-of-two length smaller than the maximum, sve512")]
    [InlineData("virt", "max,sve-max-vq=4,sve512=off", "/dev/null", "cannot disable sve512: the maximum vector length must be enabled")]
    [InlineData("virt", "neoverse-v1,sve512=on", "/dev/null", "cannot enable sve512: this CPU does not support the vector length 512 bits")]
    [InlineData("virt", "cortex-a57,pauth=on", "/dev/null", "pauth=on is not supported: the CPU has no pointer authentication")]
    [InlineData("virt", "max,pauth=off,pauth-qarma3=on", "/dev/null", "cannot enable pauth-impdef")]
    [InlineData("virt", "max,pauth-impdef=on,pauth-qarma5=on", "/dev/null", "pauth-impdef, pauth-qarma3 and pauth-qarma5 at the same time")]
    [InlineData("virt", "max,pauth=maybe", "/dev/null", "Parameter 'pauth' expects 'on' or 'off'")]
    [InlineData("virt", "cortex-a57,foo=on", "/dev/null", "Property 'cortex-a57-arm-cpu.foo' not found")]
    [InlineData("pc", "max", "/dev/null", "unsupported machine type 'pc'")]
    [InlineData("virt", "max", "/nonexistent", "cannot read the kernel")]
    [InlineData("virt", "max", "/dev/null", "it is a character device, not a regular file")]
    [InlineData("virt", "max", "/bin/sh", "ELF")]
    public void Config_wrong_says_what_in_one_line(string machine, string cpu, string? kernel, string message, string? accel = null)
    {
        string[] line = ["-machine", machine, "-cpu", cpu, .. kernel == null ? [] : new[] { "-kernel", kernel }, .. accel == null ? []
            : new[] { "-accel", accel }];
        string said = Assert.Throws<OptionException>(() => CommandLine.Parse(line).Machine.ToConfig()).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Theory]
    [InlineData("max", Feature.PauthImpdef)]
    [InlineData("max,pauth=on,pauth-impdef=off", Feature.PauthImpdef)]
    [InlineData("max,pauth-qarma3=on", Feature.PauthQarma3)]
    [InlineData("max,pauth-impdef=off,pauth-qarma5=on", Feature.PauthQarma5)]
    [InlineData("max,pauth=off", Feature.None)]
    [InlineData("neoverse-n1,pauth=off", Feature.None)]
    [InlineData("max", Feature.None, "max-arm-cpu.pauth=off")]
    [InlineData("max,pauth=off", Feature.PauthImpdef, "max-arm-cpu.pauth=on")]
    [InlineData("max", Feature.PauthQarma5, "arm-cpu.pauth-qarma5=on")]
    [InlineData("max", Feature.PauthImpdef, "neoverse-n1-arm-cpu.pauth=off")]
    public void Pointer_authentication_is_what_the_properties_say(string cpu, Feature algorithm, string? global = null)
    {
        const Feature all = Feature.PauthImpdef | Feature.PauthQarma3 | Feature.PauthQarma5;
        string[] line = ["-cpu", cpu, .. global == null ? [] : new[] { "-global", global }];
        MachineOptions machine = CommandLine.Parse(line).Machine;
        Feature features = machine.Globals.Aggregate(machine.Cpu, (model, option) => option.ApplyTo(model)).Features;
        Assert.Equal(algorithm, features & all);
        Assert.Equal(algorithm != Feature.None, (features & Feature.Pauth) != 0);
    }

    [Theory]
    [InlineData("frob", "unsupported accelerator 'frob'; there are jit, interp and lockstep")]
    [InlineData("hvf", "there is no hvf for Arm guests here: use -accel jit")]
    [InlineData("tcg,one-insn-per-tb=on", "one-insn-per-tb=on is not supported: use --accel interp")]
    [InlineData("kvm", "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)")]
    [InlineData("kvm:kvm", "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)")]
    [InlineData("tcg,thread=single", "thread is multi: each CPU has a thread of its own")]
    [InlineData("interp,tb-size=1", "accelerator interp has no property 'tb-size'")]
    [InlineData("jit,one=1", "accelerator jit has no property 'one'")]
    [InlineData("interp,stats=on", "accelerator interp has no property 'stats'")]
    [InlineData("jit,stats=yes", "stats is on or off, not 'yes'")]
    [InlineData("jit,tb-size=0", "tb-size is a number of MiB from 1 to 1024, not '0'")]
    [InlineData("jit,tb-size=x", "tb-size is a number of MiB from 1 to 1024, not 'x'")]
    public void Accelerator_wrong_says_what(string accel, string message)
    {
        string said =
            Assert.Throws<OptionException>(() => CommandLine.Parse(["-kernel", "/dev/null", "-accel", accel]).Machine.ToConfig()).Message;

        // What this host cannot is said when no other engine was asked for.
        Assert.Equal(message.StartsWith("there is no", StringComparison.Ordinal) ? message : $"-accel {accel}: {message}", said);
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
