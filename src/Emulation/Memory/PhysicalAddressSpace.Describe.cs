using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Memory;

/// <content>The address space as text, and reading it without side effects.</content>
public sealed unsafe partial class PhysicalAddressSpace
{
    private const string Name = "system";

    /// <summary>The regions in the layout of QEMU's <c>info mtree</c>.</summary>
    public string DescribeTree() =>
        $"address-space: memory\n  {Line(0, ulong.MaxValue, "i/o", Name)}\n{Regions("    ")}";

    /// <summary>The regions in the layout of QEMU's <c>info mtree -f</c>.</summary>
    public string DescribeFlatView() => $"FlatView #0\n AS \"memory\", root: {Name}\n Root memory region: {Name}\n{Regions("  ")}";

    /// <summary>
    /// Copies memory, up to where there is none or it has not arrived yet, and then it is asked for; devices are not read. Any thread.
    /// </summary>
    /// <returns>Bytes copied.</returns>
    public int Peek(GuestPhysicalAddress address, Span<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length && FindMemory((address + (ulong)done).Value) is { } memory)
        {
            GuestPhysicalAddress at = address + (ulong)done;
            int count = (int)Math.Min((ulong)(bytes.Length - done), memory.Start.Value + memory.Size - at.Value);
            ulong? missing = memory.FindMissing(at.Value, (ulong)count);
            count = missing is { } end ? (int)(end - at.Value) : count;
            memory.Span(at, count).CopyTo(bytes[done..]);
            done += count;
            if (missing != null)
            {
                break;
            }
        }

        return done;
    }

    private string Regions(string indentation)
    {
        // The memory of a flash chip lies under the window of its registers: one region that is read as memory.
        var regions = _memories.Where(m => !m.IsReadOnly).Select(m => (Start: m.Start.Value, m.Size, Kind: "ram", Name: "mach-virt.ram"))
            .Concat(_windows.Select(w => (
                w.Start, w.Size, Kind: _memories.Any(m => m.IsReadOnly && m.Start.Value == w.Start) ? "romd" : "i/o", w.Device.Name)))
            .OrderBy(r => r.Start);
        var text = new StringBuilder();
        foreach ((ulong start, ulong size, string kind, string name) in regions)
        {
            text.Append(text.Length == 0 ? "" : "\n").Append(indentation).Append(Line(start, start + size - 1, kind, name));
        }

        return text.ToString();
    }

    private static string Line(ulong start, ulong last, string kind, string name) =>
        string.Create(CultureInfo.InvariantCulture, $"{start:x16}-{last:x16} (prio 0, {kind}): {name}");
}
