using System.Globalization;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Machine;

namespace Vmm.Host.Options;

/// <summary>What the command line says about the machine, as text; <see cref="ToConfig"/> checks all of it.</summary>
public sealed record MachineOptions(string? Kernel, string? Initrd, string Append, string Smp, string Memory, string Cpu, string Machine, string? Accel = null)
{
    private const ulong SmallestMemory = 16ul << 20;
    private const ulong LargestMemory = 255ul << 30;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public MachineConfig ToConfig()
    {
        SmpOption smp = SmpOption.Parse(Smp);
        ulong memory = ParseSize(Memory);
        CpuModel model = CpuModel.Find(Cpu)
            ?? throw new OptionException($"unable to find CPU model '{Cpu}'; there are {string.Join(", ", CpuModel.All.Select(m => m.Name))}");
        (bool acpi, bool randomness) = ParseMachine(Machine);
        AcceleratorOption accelerator = AcceleratorOption.Parse(Accel);
        if (Kernel == null)
        {
            throw new OptionException("no kernel: give an arm64 Image with --kernel");
        }

        var boot = new BootConfig(ReadFile("kernel", Kernel), Initrd == null ? null : ReadFile("initrd", Initrd), Append);
        var config = new MachineConfig(model, smp.Cpus, smp.Topology, memory, boot)
        {
            Acpi = acpi,
            DtbRandomness = randomness,
            Accelerator = accelerator.Accelerator,
            TranslationBytes = accelerator.TranslationBytes,
            PerfMap = accelerator.PerfMap,
            DualMapping = accelerator.DualMapping,
        };
        try
        {
            LinuxBoot.Plan(config);
        }
        catch (InvalidDataException e)
        {
            throw new OptionException(e.Message);
        }

        return config;
    }

    /// <summary>A size in bytes from a number of MiB, or one with a suffix K, M or G.</summary>
    public static ulong ParseSize(string text)
    {
        string digits = text.TrimEnd('k', 'K', 'm', 'M', 'g', 'G');
        int shift = text[digits.Length..].ToUpperInvariant() switch { "K" => 10, "M" or "" => 20, "G" => 30, _ => 64 };
        if (!ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) || shift == 64 || value > (LargestMemory >> shift))
        {
            throw new OptionException($"'{text}' is no memory size: give a number of MiB, or one with K, M or G, up to {LargestMemory >> 30}G");
        }

        ulong bytes = value << shift;
        if (bytes < SmallestMemory || (bytes & 0xFFF) != 0)
        {
            throw new OptionException($"memory size '{text}' is not a multiple of 4 KiB of at least {SmallestMemory >> 20} MiB");
        }

        return bytes;
    }

    // virt[,gic-version=3][,acpi=on|off][,dtb-randomness=on|off].
    private static (bool Acpi, bool DtbRandomness) ParseMachine(string text)
    {
        bool acpi = true;
        bool randomness = true;
        string[] parts = text.Split(',');
        if (parts[0] != "virt")
        {
            throw new OptionException($"unsupported machine type '{parts[0]}'; there is virt");
        }

        foreach (string part in parts.Skip(1))
        {
            switch (part)
            {
                case "gic-version=3" or "gic-version=max":
                    break;
                case "acpi=on":
                    acpi = true;
                    break;
                case "acpi=off":
                    acpi = false;
                    break;
                case "dtb-randomness=on":
                    randomness = true;
                    break;
                case "dtb-randomness=off":
                    randomness = false;
                    break;
                default:
                    throw new OptionException(part.StartsWith("gic-version=", StringComparison.Ordinal)
                        ? $"{part} is not supported: virt has a GICv3 (gic-version=3)"
                        : $"Property 'virt-machine.{part.Split('=')[0]}' not found, or not with that value: '{part}'");
            }
        }

        return (acpi, randomness);
    }

    private static byte[] ReadFile(string what, string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"cannot read the {what} '{path}': {e.Message}");
        }
    }
}
