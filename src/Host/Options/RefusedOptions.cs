namespace Vmm.Host.Options;

/// <summary>The options of QEMU (qemu-options.hx of QEMU 10) that Vmm lacks. Each is refused by name.</summary>
internal static class RefusedOptions
{
    private const string Disks = "disks are on virtio (-drive, -blockdev)";
    private const string Graphics = "there is no display";
    private const string Usb = "there is no USB";
    private const string OtherArchitectures = "it is not for Arm machines";

    public static IReadOnlyList<OptionRow> Rows { get; } =
    [
        // Boot.
        OptionRow.Refused("dtb", "the machine makes its own device tree, or ACPI tables"),
        OptionRow.Refused("shim", "the kernel is booted without one"), OptionRow.Refused("option-rom", "there are no option ROMs"),
        OptionRow.Refused("fw_cfg", "there are no fw_cfg files of the user's"),
        OptionRow.Refused("smbios", "the SMBIOS tables are fixed"),

        // Devices.
        OptionRow.Refused("deviceset", "-smp disabledcpus= says how many CPUs are disabled at power-on"),
        OptionRow.Refused("fda", Disks), OptionRow.Refused("fdb", Disks),
        OptionRow.Refused("mtdblock", Disks), OptionRow.Refused("sd", Disks),
        OptionRow.Refused("iscsi", Disks), OptionRow.Refused("tpmdev", "there is no TPM"),
        OptionRow.Refused("usb", Usb, takesValue: false), OptionRow.Refused("usbdevice", Usb),
        OptionRow.Refused("mem-path", "RAM is anonymous memory of the host"),
        OptionRow.Refused("mem-prealloc", "RAM is taken from the host as it is used", takesValue: false),

        // Display.
        OptionRow.Refused("spice", Graphics), OptionRow.Refused("full-screen", Graphics, takesValue: false),
        OptionRow.Refused("curses", Graphics, takesValue: false),
        OptionRow.Refused("sdl", Graphics, takesValue: false), OptionRow.Refused("g", Graphics),

        // Character devices and debuggers.
        OptionRow.Refused("debugcon", OtherArchitectures),
        OptionRow.Refused("s", "there is no gdbstub", takesValue: false),
        OptionRow.Refused("semihosting", "there is no semihosting", takesValue: false),

        // The run.
        OptionRow.Refused("daemonize", "start it in the background with your shell or service manager", takesValue: false),
        OptionRow.Refused("preconfig", "the machine is configured by this command line", takesValue: false),
        OptionRow.Refused("dump-vmstate", "docs/state.md says what is saved"),
        OptionRow.Refused("seed", "random numbers are the host's; -machine dtb-randomness=off leaves out the kernel's seeds"),
        OptionRow.Refused("dfilter", "everything is traced"), OptionRow.Refused("singlestep", "use --accel interp", takesValue: false),
        OptionRow.Refused("one-insn-per-tb", "use --accel interp", takesValue: false),
        OptionRow.Refused("perfmap", "give it as -accel jit,perfmap=on", takesValue: false),
        OptionRow.Refused("jitdump", "-accel jit,perfmap=on names translated code", takesValue: false),
        OptionRow.Refused("tb-size", "give it as -accel jit,tb-size=MiB"), OptionRow.Refused("plugin", "there are no plugins"),
        OptionRow.Refused("enable-sync-profile", "locks are not profiled", takesValue: false),

        OptionRow.Refused("runas", "the program runs as it was started"), OptionRow.Refused("chroot", "the program runs as it was started"),
        OptionRow.Refused("readconfig", "options are given here"), OptionRow.Refused("writeconfig", "options are given here"),
        OptionRow.Refused("set", "options are given here"),
        OptionRow.Refused("add-fd", "files are opened by name"),
        OptionRow.Refused("old-param", "the kernel gets ACPI tables or a device tree", takesValue: false),
        OptionRow.Refused("no-acpi", "give it as -machine acpi=off", takesValue: false),
        OptionRow.Refused("no-hpet", OtherArchitectures, takesValue: false), OptionRow.Refused("no-fd-bootchk", OtherArchitectures,
            takesValue: false), OptionRow.Refused("win2k-hack", OtherArchitectures, takesValue: false),
        OptionRow.Refused("acpitable", "ACPI tables are the machine's"),
        OptionRow.Refused("enable-hax", OtherArchitectures, takesValue: false), OptionRow.Refused("xen-domid", OtherArchitectures),
        OptionRow.Refused("xen-attach", OtherArchitectures, takesValue: false),
        OptionRow.Refused("xen-domid-restrict", OtherArchitectures, takesValue: false),
    ];
}
