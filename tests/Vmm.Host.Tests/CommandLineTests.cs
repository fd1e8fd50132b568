using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pl031;
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
        Assert.Equal(new SmpOption(4, new CpuTopology(1, 1, 6, 1)), SmpOption.Of(machine.Smp));
        Assert.Equal(300ul << 20, machine.Memory);
        Assert.Equal(("host", "K"), (machine.Cpu.Name, machine.Kernel));
    }

    [Fact]
    public void Machine_options_merge()
    {
        MachineOption machine =
            Parse("-machine acpi=off,gic-version=3 -M virt,dtb-randomness=off -machine acpi=auto,its=off").Machine.Machine;
        Assert.True(machine.Acpi);
        Assert.Equal(MsiController.None, machine.Msi);
        Assert.Equal(MsiController.GicV2m, machine.Add("its=off,msi=gicv2m").Msi);
        Assert.Equal(MsiController.Its, machine.Add("msi=none,msi=auto").Msi);
        Assert.False(machine.DtbRandomness);
        Assert.False(machine.OnlineCapable);
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
    [InlineData("-m 64 --kernel", "--kernel: requires an argument")]
    [InlineData("disk.img", "disk.img: a disk image needs an option: give -drive file=F,format=raw|qcow2")]
    [InlineData("-netdev tap,id=n,vhost=on", "-netdev tap,id=n,vhost=on: not supported: tap with vhost=on")]
    [InlineData("-netdev tap,id=n,fd=3,ifname=t", "-netdev tap,id=n,fd=3,ifname=t: ifname= is invalid with fd=")]
    [InlineData("-netdev tap,id=n,helper=h,script=no", "-netdev tap,id=n,helper=h,script=no: script= is invalid with helper=")]
    [InlineData("-netdev tap,id=n,br=b",
        "-netdev tap,id=n,br=b: br= of tap is for helper=; '-netdev bridge,br=' puts an interface into a bridge")]
    [InlineData("-netdev tap,id=n,ifname=0123456789abcdef", "-netdev tap,id=n,ifname=0123456789abcdef: '0123456789abcdef' of 'ifname' "
        + "is no name of an interface: 1 to 15 characters without '/' and spaces")]
    [InlineData("-netdev hubport,id=n", "-netdev hubport,id=n: Parameter 'hubid' is missing")]
    [InlineData("-netdev hubport,id=n,hubid=x", "-netdev hubport,id=n,hubid=x: Parameter 'hubid' expects a number")]
    [InlineData("-netdev stream,id=n,server=on,addr.type=unix,addr.path=/x,reconnect-ms=5",
        "-netdev stream,id=n,server=on,addr.type=unix,addr.path=/x,reconnect-ms=5: "
        + "'reconnect' and 'reconnect-ms' options are incompatible with socket in server mode")]
    [InlineData("-netdev stream,id=n,addr.type=unix,addr.path=/x,reconnect-ms=5,reconnect=1",
        "-netdev stream,id=n,addr.type=unix,addr.path=/x,reconnect-ms=5,reconnect=1: "
        + "'reconnect' and 'reconnect-ms' are mutually exclusive")]
    [InlineData("-netdev stream,id=n,addr.type=unix,addr.path=/x,reconnect-ms=-1",
        "-netdev stream,id=n,addr.type=unix,addr.path=/x,reconnect-ms=-1: "
        + "Parameter 'reconnect-ms' expects a number from 0 to 2147483647")]
    [InlineData("-chardev socket,id=c,path=/x,server=on,reconnect-ms=5",
        "-chardev socket,id=c,path=/x,server=on,reconnect-ms=5: "
        + "'reconnect' option is incompatible with socket in server listen mode")]
    [InlineData("-netdev user,id=n,guestfwd=tcp:10.0.2.100:80",
        "-netdev user,id=n,guestfwd=tcp:10.0.2.100:80: Invalid guest forwarding rule 'tcp:10.0.2.100:80'")]
    [InlineData("-netdev vde,id=n",
        "-netdev vde,id=n: not supported: a netdev of type 'vde'; there are user, tap, bridge, stream, dgram, socket, hubport")]
    [InlineData("-device vhost-vsock-pci,guest-cid=3", "-device vhost-vsock-pci,guest-cid=3: not supported: vhost-vsock-pci: there is no "
        + "vhost; give virtio-vsock-pci,guest-cid=N,uds_path=PATH")]
    [InlineData("-daemonize", "-daemonize: not supported: start it in the background with your shell or service manager")]
    [InlineData("-nic user,model=e1000",
        "-nic user,model=e1000: not supported: a network device of model 'e1000'; there are virtio-net-pci, virtio-net-device")]
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
        AcceleratorOption engine = Parse(line).Machine.Accelerator;
        Assert.Equal(Accelerator.Jit, engine.Accelerator);
        Assert.Equal(notice ? "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it): falling back to jit"
            : null, engine.Notice);
    }

    [Fact]
    public void Enable_kvm_alone_names_the_choice() => Assert.Equal(
        "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)",
        Assert.Throws<OptionException>(() => Parse("--enable-kvm -machine virt").Machine.Accelerator).Message);

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

    [Theory]
    [InlineData("-d in_asm,int", "Irq, InAsm", null)]
    [InlineData("-d exec -d guest_errors -D F", "Insn, GuestErrors", "F")]
    [InlineData("-d invalid_mem,psci", "Psci, GuestErrors", null)]
    [InlineData("-trace mmio -d op", "Mmio, Op", TraceOption.DefaultFile)]
    [InlineData("-trace mmio,guest_errors -trace-file F", "Mmio, GuestErrors", "F")]
    public void Log_items_are_categories_of_the_trace(string line, string categories, string? file)
    {
        TraceOption trace = TraceOption.Parse(Parse(line));
        Assert.Equal((categories, file), (trace.Categories.ToString(), trace.File));
    }

    [Theory]
    [InlineData("-d cpu", "-d cpu: 'cpu' is not supported; -d help lists what is")]
    [InlineData("-d in_asm,foo", "-d in_asm,foo: 'foo' is no log item; -d help lists them")]
    [InlineData("-rtc base=foo",
        "-rtc base=foo: invalid datetime format: valid formats are '2006-06-17T16:01:21' and '2006-06-17', from 1970 to 2105")]
    [InlineData("-rtc foo=1", "-rtc foo=1: Invalid parameter 'foo'")]
    [InlineData("-rtc clock=sun", "-rtc clock=sun: invalid option value 'sun': clock is host, rt or vm")]
    public void Values_that_are_wrong_are_named_with_their_option(string line, string message) => Assert.Equal(message, Refuse(line));

    [Theory]
    [InlineData("base=2006-06-17T16:01:21", "2006-06-17T16:01:21", RtcClock.Host)]
    [InlineData("base=2006-06-17,clock=vm", "2006-06-17T00:00:00", RtcClock.Guest)]
    [InlineData("clock=rt,driftfix=none", null, RtcClock.Monotonic)]
    public void Real_time_clock_starts_where_it_is_told(string text, string? start, RtcClock clock)
    {
        DateTimeOffset? expected = start == null ? null
            : DateTimeOffset.Parse(start, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        Assert.Equal(new RtcConfig(expected, clock), RtcOption.Add(RtcOption.Default, text));
    }

    [Fact]
    public void Pid_file_is_there_as_long_as_the_program()
    {
        string path = Path.Combine(Path.GetTempPath(), $"vmm-{Guid.NewGuid():N}.pid");
        using (PidFile.Create(path))
        {
            using Process cat = Process.Start(new ProcessStartInfo("cat", path) { RedirectStandardOutput = true })!;
            Assert.Equal($"{Environment.ProcessId}\n", cat.StandardOutput.ReadToEnd());
            Assert.Equal($"cannot create PID file '{path}': another process uses it",
                Assert.Throws<OptionException>(() => PidFile.Create(path)).Message);
        }

        Assert.False(File.Exists(path));
        Assert.Equal("cannot create PID file '/nonexistent/a': No such file or directory",
            Assert.Throws<OptionException>(() => PidFile.Create("/nonexistent/a")).Message);
    }

    [Fact]
    public void Run_options_say_what_happens_at_the_ends()
    {
        RunOptions options =
            Parse("-S -no-reboot -no-shutdown -name guest=vm1,debug-threads=on -uuid 12345678-9abc-def0-1234-56789abcdef0");
        Assert.True(options.Stopped && options.ShutdownOnReset && options.StayAfterShutdown);
        Assert.Equal(("vm1", Guid.Parse("12345678-9abc-def0-1234-56789abcdef0")), (options.Machine.Name, options.Machine.Uuid));
        options = Parse("-no-reboot -action reboot=reset,shutdown=pause,panic=none,watchdog=reset");
        Assert.Equal((false, true), (options.ShutdownOnReset, options.StayAfterShutdown));
    }

    [Theory]
    [InlineData("-uuid x", "-uuid x: failed to parse UUID string: wrong format")]
    [InlineData("-name a,b=c", "-name a,b=c: Invalid parameter 'b'")]
    [InlineData("-action foo", "-action foo: Invalid parameter 'foo'")]
    [InlineData("-action panic=foo", "-action panic=foo: Parameter 'panic' does not accept value 'foo'")]
    [InlineData("-device virtio-rng-pci,foo=1", "-device virtio-rng-pci,foo=1: Property 'virtio-rng-pci.foo' not found")]
    [InlineData("-device virtio-rng-pci,addr=32", "-device virtio-rng-pci,addr=32: Property 'virtio-rng-pci.addr' doesn't take value '32'")]
    [InlineData("-device pcie-root-port,id=a -device virtio-rng-pci,id=a", "-device virtio-rng-pci,id=a: Duplicate device ID 'a'")]
    [InlineData("-device foo", "-device foo: 'foo' is not a valid device model name; -device help lists those there are")]
    [InlineData("-device max-arm-cpu,core-id=x", "-device max-arm-cpu,core-id=x: Parameter 'core-id' expects a number")]
    [InlineData("-device max-arm-cpu,foo=1", "-device max-arm-cpu,foo=1: Property 'max-arm-cpu.foo' not found")]
    [InlineData("-global foo", "-global foo: give DRIVER.PROPERTY=VALUE")]
    [InlineData("-deviceset max-arm-cpu,core-id=1,admin-state=disabled",
        "-deviceset: not supported: -smp disabledcpus= says how many CPUs are disabled at power-on")]
    public void More_values_that_are_wrong(string line, string message) => Assert.Equal(message, Refuse(line));

    private static IReadOnlyList<PluggedCpu> Place(string line, bool acpi = true)
    {
        RunOptions options = Parse(line);
        SmpOption smp = SmpOption.Of(options.Machine.Smp);
        var config = new MachineConfig(options.Machine.Cpu, smp.Cpus, smp.Topology, 64 << 20, new BootConfig(default, null, ""))
        {
            DisabledCpus = smp.DisabledCpus,
            Acpi = acpi,
        };
        return CpuDeviceOption.Place(options.Machine.Devices, config);
    }

    [Fact]
    public void Devices_are_CPUs_that_are_plugged_from_power_on() => Assert.Equal(
        [new PluggedCpu("a", new CpuIndex(5)), new PluggedCpu("cpu-4", new CpuIndex(4))],
        Place("-smp 3,maxcpus=6 -device max-arm-cpu,id=a,core-id=5 -device host-arm-cpu,core-id=4,socket-id=0"));

    [Theory]
    [InlineData("-device max-arm-cpu,core-id=2", "-device max-arm-cpu: cpu(id2=0:0:2:0) with arch-id 2 exist")]
    [InlineData("-device max-arm-cpu,core-id=3", "-device max-arm-cpu: cpu(id3=0:0:3:0) with arch-id 3 exist")]
    [InlineData("-device max-arm-cpu,core-id=6", "-device max-arm-cpu: Invalid core-id 6 specified, correct range 0:5")]
    [InlineData("-device max-arm-cpu", "-device max-arm-cpu: core-id is not set")]
    [InlineData("-device max-arm-cpu,id=1,core-id=5", "-device max-arm-cpu: Parameter 'id' expects an identifier")]
    [InlineData("-device cortex-a57-arm-cpu,core-id=5", "-device cortex-a57-arm-cpu: Invalid CPU type, expected cpu type: 'max-arm-cpu'")]
    [InlineData("-device max-arm-cpu,id=a,core-id=5 -device max-arm-cpu,id=a,core-id=4", "-device max-arm-cpu: Duplicate device ID 'a'")]
    [InlineData("-device max-arm-cpu,core-id=5 -device max-arm-cpu,core-id=5",
        "-device max-arm-cpu: cpu(id5=0:0:5:0) with arch-id 5 exist")]
    public void Devices_that_cannot_be_there_are_refused(string devices, string message) =>
        Assert.Equal(message, Assert.Throws<OptionException>(() => Place($"-smp 3,disabledcpus=1,maxcpus=6 {devices}")).Message);

    [Theory]
    [InlineData("max-arm-cpu.pmu=off", null)]
    [InlineData("driver=arm-cpu,property=sve,value=off", null)]
    [InlineData("cortex-a72-arm-cpu.sve=on", null)]
    [InlineData("max-arm-cpu.sve=on", null)]
    [InlineData("max-arm-cpu.foo=on", "Property 'max-arm-cpu.foo' not found")]
    [InlineData("pl011.chardev=a", "not supported: 'pl011' is as it is: only CPUs have properties")]
    public void Globals_are_properties_of_CPUs(string text, string? message)
    {
        void Check() => Assert.Single(GlobalOption.Apply(new RunOptions(), text).Machine.Globals).ApplyTo(CpuModel.Find("max")!);
        if (message == null)
        {
            Check();
        }
        else
        {
            Assert.Equal(message, Assert.Throws<OptionException>(Check).Message);
        }
    }

    /// <summary>docs/from-qemu.md is kept by hand: it has each option, and of what is refused the reason.</summary>
    [Fact]
    public void Page_for_people_who_come_from_QEMU_has_every_option()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder != null && !File.Exists(Path.Combine(folder, "Vmm.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        string[] lines = File.ReadAllLines(Path.Combine(folder!, "docs", "from-qemu.md"));
        Assert.All(OptionTable.Supported.SelectMany(r => r.Names), name =>
            Assert.Contains(lines, l => l.Contains($"`-{name}", StringComparison.Ordinal)));
        Assert.All(OptionTable.Refused, row => Assert.Contains(
            lines, l => l.StartsWith('|') && l.Contains($"`-{row.Name}`", StringComparison.Ordinal)
                && l.EndsWith($"| {row.Refusal} |", StringComparison.Ordinal)));
    }
}
