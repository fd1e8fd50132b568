using System.Globalization;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The option <c>-m [size=]megs[K|M|G]</c>: the size of RAM in bytes.</summary>
public static class MemoryOption
{
    public const string Syntax = "[size=]megs[K|M|G]";
    public const ulong Default = 512ul << 20;

    private const ulong SmallestMemory = 16ul << 20;
    private const ulong LargestMemory = 255ul << 30;

    /// <param name="text">The value of one <c>-m</c>. The last of several counts.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static ulong Parse(string text)
    {
        ulong size = 0;
        foreach ((string key, string? value) in KeyValues.Parse(text, "size"))
        {
            size = key switch
            {
                "size" => ParseSize(value ?? ""),
                "slots" or "maxmem" => throw new OptionException($"{key} is not supported: there is no memory hotplug"),
                _ => throw new OptionException($"Invalid parameter '{key}'"),
            };
        }

        return size;
    }

    /// <summary>A notice for the user if the host cannot provide all of the RAM; null if it can.</summary>
    /// <param name="bytes">The size of RAM.</param>
    /// <param name="hostMemory">The contents of /proc/meminfo.</param>
    public static string? Notice(ulong bytes, string hostMemory)
    {
        ulong host = Field(hostMemory, "MemTotal") + Field(hostMemory, "SwapTotal");
        return host == 0 || bytes <= host
            ? null
            : $"warning: the guest's RAM of {bytes >> 20} MiB is more than this host's memory and swap, {host >> 20} MiB: the host ends "
            + $"the VM when the guest uses more than there is";
    }

    // Returns a line of /proc/meminfo in bytes; 0 if there is no such line.
    private static ulong Field(string hostMemory, string name)
    {
        string? line = hostMemory.Split('\n').FirstOrDefault(l => l.StartsWith(name + ":", StringComparison.Ordinal));
        string? number = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(1);
        return ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong kibibytes) ? kibibytes << 10 : 0;
    }

    /// <summary>Parses a size: a number of MiB, or one with a suffix K, M or G. The result is in bytes.</summary>
    private static ulong ParseSize(string text)
    {
        string digits = text.TrimEnd('k', 'K', 'm', 'M', 'g', 'G');
        int shift = text[digits.Length..].ToUpperInvariant() switch { "K" => 10, "M" or "" => 20, "G" => 30, _ => 64 };
        if (shift == 64 || !ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            || value > (LargestMemory >> shift))
        {
            throw new OptionException($"'{UserText.Legible(text)}' is no memory size: give a number of MiB, or one with K, M or G, up to "
                + $"{LargestMemory >> 30}G");
        }

        return Check(value << shift, text);
    }

    /// <summary>Checks that RAM can have a size, and returns it.</summary>
    /// <param name="bytes">The size.</param>
    /// <param name="text">The size as the user gave it; null for a number of bytes.</param>
    /// <exception cref="OptionException">RAM cannot have that size: one line.</exception>
    public static ulong Check(ulong bytes, string? text = null) => bytes >= SmallestMemory && bytes <= LargestMemory && (bytes & 0xFFF) == 0
        ? bytes
        : throw new OptionException(
            $"memory size '{UserText.Legible(text ?? $"{bytes >> 10}K")}' is not a multiple of 4 KiB of at least {SmallestMemory >> 20} "
                + $"MiB");
}
