using System.Text.RegularExpressions;
using Vmm.Emulation.Boards;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Tests;

/// <summary>
/// What programs type that start QEMU: the command lines of tools that kernels are tested with, as those tools make them, with IMAGE for a
/// kernel. Each gives a machine, or is refused for the device that there is none of.
/// </summary>
public sealed class ToolCommandLineTests : IDisposable
{
    private readonly string _image = Path.GetTempFileName();

    public ToolCommandLineTests() => File.WriteAllBytes(_image, EmptyMachine.Program.ToArray());

    public void Dispose() => File.Delete(_image);

    private string[] Words(string line) =>
        [.. Regex.Matches(line, "'([^']*)'|(\\S+)").Select(m => m.Value.Trim('\'').Replace("IMAGE", _image, StringComparison.Ordinal))];

    private MachineConfig Make(string line) => CommandLine.Parse(Words(line)).Machine.ToConfig();

    [Theory]
    [InlineData("kunit.py, arm64",
        "-nodefaults -m 1024 -kernel IMAGE -append 'mem=1G console=tty kunit_shutdown=halt console=ttyAMA0 kunit_shutdown=reboot' "
            + "-no-reboot -nographic -accel kvm -accel hvf -accel tcg -serial stdio -machine virt -cpu max,pauth-impdef=true")]
    [InlineData("virtme-ng --disable-microvm, console",
        "-m 1G -M virt -cpu cortex-a57 -parallel none -net none -echr 1 -chardev stdio,id=console,signal=off,mux=on -serial "
            + "chardev:console -mon chardev=console -vga none -display none -smp 2 -kernel IMAGE -append x -no-reboot")]
    [InlineData("syzkaller, without network and image",
        "-m 2048 -smp 2 -chardev socket,id=SOCKSYZ,server=on,wait=off,host=localhost,port=4801 -mon chardev=SOCKSYZ,mode=control -display "
            + "none -serial stdio -no-reboot -name VM-0 -machine virt,gic-version=max -cpu cortex-a57 -accel "
            + "tcg,thread=multi,tb-size=4096 -kernel IMAGE -append x -snapshot")]
    [InlineData("kvm-unit-tests, without its devices",
        "-nodefaults -machine virt,gic-version=host -accel kvm,dirty-ring-size=65536 -accel tcg -cpu host -display none -serial stdio "
            + "-kernel IMAGE -smp 4 -machine gic-version=3 -append 'its-migration'")]
    [InlineData("kselftest, vmtest.sh",
        "-machine virt,kernel_irqchip=off,accel=kvm:tcg -cpu max -nodefaults -display none -serial mon:stdio -no-reboot -m 256M -kernel "
            + "IMAGE -append 'console=ttyAMA0'")]
    [InlineData("libvirt, probing",
        "-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -qmp unix:/tmp/x,server=on,wait=off -pidfile /tmp/y")]
    [InlineData("libvirt, a guest without PCI",
        "-name guest=armtest,debug-threads=on -S -object "
            + "'{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\",\"file\":\"/x\"}' -machine "
            + "virt-10.0,usb=off,gic-version=3,dump-guest-core=on,memory-backend=mach-virt.ram,acpi=on -accel tcg -cpu cortex-a57 -m "
            + "size=1048576k -object '{\"qom-type\":\"memory-backend-ram\",\"id\":\"mach-virt.ram\",\"size\":1073741824}' -overcommit "
            + "mem-lock=off -smp 2,sockets=2,cores=1,threads=1 -uuid 37b053b1-3fc1-4a84-8baa-2d07cc0d764a -no-user-config -nodefaults "
            + "-display none -chardev socket,id=charmonitor,path=/tmp/x,server=on,wait=off -mon "
            + "chardev=charmonitor,id=monitor,mode=control -rtc base=utc -no-shutdown -boot strict=on -kernel IMAGE -audiodev "
            + "'{\"id\":\"audio1\",\"driver\":\"none\"}' -sandbox off -msg timestamp=off")]
    [InlineData("packer", "-machine type=virt,accel=tcg -cpu max,sve=on,sve-max-vq=4,pauth-impdef=on -smp cpus=2,sockets=1 -m 2048M "
        + "-boot once=d -vnc none -monitor none -global virtio-mmio.force-legacy=false -kernel IMAGE")]
    [InlineData("virtme-ng, its root", "-fsdev local,id=virtfs1,path=/tmp,security_model=none,readonly=on,multidevs=remap -device "
        + "virtio-9p-pci,fsdev=virtfs1,mount_tag=/dev/root -kernel IMAGE")]
    [InlineData("virtfs", "-virtfs local,path=/tmp,mount_tag=host0,security_model=passthrough,id=host0 -device "
        + "virtio-rng-pci -kernel IMAGE")]
    [InlineData("libvirt, an agent's channel", "-device virtio-serial-pci,id=virtio-serial0,max_ports=16,bus=pcie.0,addr=0x3 -chardev "
        + "socket,id=charchannel0,path=/tmp/x,server=on,wait=off -device "
        + "'{\"driver\":\"virtserialport\",\"bus\":\"virtio-serial0.0\",\"nr\":1,\"chardev\":\"charchannel0\",\"id\":\"channel0\",\"name\":"
        + "\"org.qemu.guest_agent.0\"}' -device virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x4 -kernel IMAGE")]
    [InlineData("hexadecimal", "-smp 0x2,maxcpus=0x4 -device max-arm-cpu,id=c3,core-id=0x3 -device "
        + "'{\"driver\":\"max-arm-cpu\",\"id\":\"c2\",\"core-id\":2}' -accel tcg,tb-size=0x20 -kernel IMAGE")]
    [InlineData("one NUMA node", "-numa node,nodeid=0,memdev=m -object memory-backend-ram,id=m,size=512M -display '{\"type\":\"none\"}' "
        + "-compat '{\"deprecated-output\":\"hide\"}' -watchdog-action none -gdb none -k en-us -kernel IMAGE")]
    [InlineData("buildroot", "-M virt -cpu cortex-a53 -nographic -smp 1 -kernel IMAGE -append x -netdev user,id=eth0")]
    [InlineData("LAVA", "-cpu max,pauth-impdef=on -machine virt,gic-version=3,mte=on,accel=tcg -nographic -m 4096 -kernel IMAGE")]
    public void Lines_of_tools_give_a_machine(string tool, string line) => Assert.True(Make(line).PossibleCpus > 0, tool);

    [Theory]
    [InlineData("buildroot", "-M virt -cpu cortex-a15 -nographic -smp 1 -kernel IMAGE -append x -netdev user,id=eth0",
        "-cpu cortex-a15: unable to find CPU model 'cortex-a15'; there are cortex-a53, cortex-a55, cortex-a57, cortex-a72, cortex-a76, "
            + "cortex-a710, neoverse-n1, neoverse-n2, neoverse-v1, max, host")]
    [InlineData("buildroot", "-M virt -cpu cortex-a57 -nographic -smp 1 -kernel IMAGE -append x -netdev vde,id=eth0",
        "-netdev vde,id=eth0: not supported: a netdev of type 'vde'; there are user, tap, bridge, stream, dgram, socket, hubport")]
    [InlineData("kvm-unit-tests", "-nodefaults -machine virt -accel tcg -cpu cortex-a57 -device virtio-serial-device -device pci-testdev "
        + "-kernel IMAGE", "-device pci-testdev: 'pci-testdev' is not a valid device model name; -device help lists those there are")]
    [InlineData("a port", "-device virtserialport,chardev=a -kernel IMAGE",
        "-device virtserialport: No 'virtio-serial-bus' bus found for device 'virtserialport'")]
    [InlineData("a port", "-device virtio-serial-pci -device virtserialport,nr=0 -kernel IMAGE", "-device virtserialport,nr=0: "
        + "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.")]
    [InlineData("ports", "-device virtio-serial-pci,max_ports=2 -device virtserialport -device virtserialport -kernel IMAGE",
        "-device virtserialport: virtio-serial-bus: Maximum port limit for this device reached")]
    [InlineData("balloons", "-device virtio-balloon-pci -device virtio-balloon-device -kernel IMAGE",
        "-device virtio-balloon-pci: Only one balloon device is supported")]
    [InlineData("a balloon", "-device virtio-balloon-pci,page-poison=on -kernel IMAGE",
        "-device virtio-balloon-pci: not supported: page-poison=on")]
    [InlineData("tags", "-cpu neoverse-n1 -machine virt,mte=on -kernel IMAGE",
        "mte=on: MTE requested, but not supported by the guest CPU: neoverse-n1 has no memory tagging, max has")]
    [InlineData("syzkaller", "-machine virt,virtualization=on,gic-version=max -cpu cortex-a57 -kernel IMAGE",
        "-machine virt,virtualization=on,gic-version=max: virtualization=on is not supported: the CPUs have no EL2")]
    [InlineData("a folder shared", "-fsdev local,id=r,path=/,security_model=mapped-file -kernel IMAGE",
        "-fsdev local,id=r,path=/,security_model=mapped-file: not supported: security_model=mapped-file; there are none, passthrough "
            + "and mapped-xattr")]
    [InlineData("a folder shared", "-fsdev local,id=r,path=/,security_model=mapped -fsdev local,id=s,path=/ -kernel IMAGE",
        "-fsdev local,id=s,path=/: security_model property not set; "
            + "Valid options are: security_model=[passthrough|mapped-xattr|none]")]
    [InlineData("a folder shared", "-fsdev local,id=r,path=/,security_model=none,fmode=0640 -kernel IMAGE",
        "-fsdev local,id=r,path=/,security_model=none,fmode=0640: fmode is only valid for mapped security modes")]
    [InlineData("a folder shared", "-device virtio-9p-pci,fsdev=r,mount_tag=t -kernel IMAGE",
        "-device virtio-9p-pci: 9pfs device couldn't find fsdev with the id = r")]
    [InlineData("a folder shared", "-virtfs local,path=/nonexistent,mount_tag=t,security_model=none -kernel IMAGE",
        "-fsdev: cannot open the folder '/nonexistent': No such file or directory")]
    [InlineData("legacy virtio", "-global virtio-mmio.force-legacy=on -kernel IMAGE",
        "-global virtio-mmio.force-legacy=on: not supported: force-legacy=on: virtio-mmio is version 2 here, without a legacy form")]
    [InlineData("a host's GIC", "-machine virt,gic-version=host -cpu max -kernel IMAGE", "gic-version=host takes -cpu host")]
    [InlineData("no guest", "-machine none -kernel IMAGE", "-machine none has no guest: give -machine virt to boot one")]
    [InlineData("backend", "-machine memory-backend=m -object memory-backend-ram,id=m,size=1G -m 2G -kernel IMAGE",
        "machine memory size does not match the size of the memory backend")]
    [InlineData("backend", "-machine memory-backend=n -object secret,id=n,data=x -kernel IMAGE", "-machine: Memory backend 'n' not found")]
    [InlineData("JSON", "-device '{\"driver\":\"max-arm-cpu\"' -kernel IMAGE",
        "-device {\"driver\":\"max-arm-cpu\": JSON parse error, premature EOI")]
    [InlineData("JSON", "-device '{\"driver\":\"max-arm-cpu\",\"core-id\":[]}' -kernel IMAGE",
        "-device {\"driver\":\"max-arm-cpu\",\"core-id\":[]}: Invalid parameter type for 'core-id'")]
    [InlineData("JSON", "-device '{}{}' -kernel IMAGE", "-device {}{}: JSON parse error, stray text")]
    [InlineData("second node", "-numa node -numa node", "-numa node: not supported: a second one: there is one NUMA node")]
    [InlineData("drives", "-snapshot -drive if=pflash,file=/dev/null -kernel IMAGE",
        "-snapshot: not supported: banks of flash are written to")]
    [InlineData("accelerators", "-accel kvm -accel hvf -kernel IMAGE",
        "there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)")]
    [InlineData("accelerators", "-accel whpx -kernel IMAGE", "there is no whpx for Arm guests here: use -accel jit")]
    public void Lines_that_need_what_there_is_not_say_so(string what, string line, string message) =>
        Assert.Equal((what, message), (what, Assert.Throws<OptionException>(() => Make(line)).Message));

    /// <summary>Every option that is only accepted: with each of its values, and refused with another.</summary>
    [Theory]
    [InlineData("parallel", "none|null", "/dev/parport0")]
    [InlineData("display", "none", "gtk")]
    [InlineData("vga", "none", "std")]
    [InlineData("net", "none", "vde")]
    [InlineData("nic", "none", "vde")]
    [InlineData("vnc", "none", ":0")]
    [InlineData("gdb", "none", "tcp::1234")]
    [InlineData("audio", "none", "alsa")]
    [InlineData("audiodev", "none,id=a|driver=none,id=a,timer-period=1", "alsa,id=a")]
    [InlineData("watchdog-action", "reset|shutdown|poweroff|inject-nmi|pause|debug|none", "explode")]
    [InlineData("boot", "c|order=dc,once=n|menu=off,strict=on|strict=off,reboot-timeout=-1", "menu=maybe")]
    [InlineData("boot", "c", "splash=a.bmp")]
    [InlineData("overcommit", "mem-lock=off|cpu-pm=no", "mem-lock=on")]
    [InlineData("run-with", "async-teardown=on|async-teardown=off", "chroot=/x")]
    [InlineData("msg", "timestamp=off,guest-name=off", "timestamp=on")]
    [InlineData("compat", "deprecated-input=accept|deprecated-input=reject,deprecated-output=hide", "deprecated-input=explode")]
    [InlineData("semihosting-config", "enable=off", "enable=on,target=native")]
    [InlineData("numa", "node|node,nodeid=0,cpus=0-3", "node,nodeid=1")]
    [InlineData("numa", "node", "dist,src=0,dst=1,val=20")]
    [InlineData("cpu", "max,sve=off,sve512=off|max,sme_fa64=off|max,cntfrq=62500000|max,vfp=on,neon=on", "max,cntfrq=1000000000")]
    [InlineData("chardev", "socket,id=a,path=/x,server=on,telnet=off,reconnect=0", "socket,id=a,path=/x,telnet=on")]
    public void Values_that_change_nothing_are_accepted_and_others_are_not(string option, string accepted, string refused)
    {
        static void Check(string option, string value) => CommandLine.Parse([$"-{option}", value]);

        Assert.All(accepted.Split('|'), value => Check(option, value));
        Assert.Throws<OptionException>(() => Check(option, refused));
    }

    [Theory]
    [InlineData("0", 0L)]
    [InlineData("10", 10L)]
    [InlineData("0x10", 16L)]
    [InlineData("0XfF", 255L)]
    [InlineData("010", 8L)]
    [InlineData("-0x2", -2L)]
    [InlineData("+7", 7L)]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("9223372036854775808", null)]
    [InlineData("08", null)]
    [InlineData("0x", null)]
    [InlineData("x", null)]
    [InlineData("", null)]
    [InlineData("-", null)]
    [InlineData("1 ", null)]
    [InlineData("1e3", null)]
    public void Numbers_are_decimal_octal_and_hexadecimal(string text, long? number) =>
        Assert.Equal(number, QemuNumber.TryParse(text, out long found) ? found : null);

    [Theory]
    [InlineData("-echr 1", 1)]
    [InlineData("-echr 0x14", 20)]
    [InlineData("", 1)]
    public void Escape_key_is_a_number(string line, byte key) => Assert.Equal(key, CommandLine.Parse(Words(line)).EscapeKey);

    [Fact]
    public void Firmware_is_looked_for_in_data_folders()
    {
        string folder = Path.GetDirectoryName(_image)!, name = Path.GetFileName(_image);
        Assert.Equal(_image, CommandLine.Parse(["-bios", name, "-L", "/nonexistent", "-L", folder]).Machine.Bios);
        Assert.Equal(name, CommandLine.Parse(["-bios", name, "-L", "/nonexistent"]).Machine.Bios);
    }

    [Fact]
    public void Backend_alone_says_how_much_memory_there_is() =>
        Assert.Equal(3ul << 28,
            Make("-machine memory-backend=m -object memory-backend-memfd,id=m,size=768M,share=on -kernel IMAGE").MemoryBytes);

    [Theory]
    [InlineData("-global virtio-net-pci.romfile=x",
        "-global virtio-net-pci.romfile=x makes no difference: there is no such device")]
    [InlineData("-global max-arm-cpu.pmu=off", null)]
    public void Properties_of_devices_that_there_are_none_of_are_noticed(string line, string? notice) =>
        Assert.Equal(notice, CommandLine.Parse(Words(line)).Notices.SingleOrDefault());
}
