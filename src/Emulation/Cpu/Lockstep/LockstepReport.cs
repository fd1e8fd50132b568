using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>The engines differ. The message is the report.</summary>
public sealed class LockstepException(string report) : Exception(report);

/// <summary>
/// The report of a difference between the engines: the values that differ, the instructions of guest and host, and the states.
/// </summary>
internal static unsafe class LockstepReport
{
    private const int MostBytes = 64;

    /// <param name="core">The vCPU, after the interpreter has repeated the run.</param>
    /// <param name="code">The host address at which translated code was entered.</param>
    /// <param name="end">The guest address at which translated code stopped.</param>
    /// <param name="stopped">The guest address at which the interpreter stopped.</param>
    public static string Of(VcpuCore core, LockstepCpu run, TranslationCache translations, byte* code, ulong end, ulong stopped)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        var text = new StringBuilder();
        ReadOnlySpan<(ulong Pc, uint Word)> path = run.Path;
        text.Append(culture,
            $"lockstep: the engines differ on cpu{core.Index.Value} after {path.Length} instructions "
            + $"from 0x{run.Before->Pc:x16} ({run.Instructions} agreed before)\n");
        if (end != stopped)
        {
            text.Append(culture, $"  PC           translated 0x{end:x16}, interpreted 0x{stopped:x16}\n");
        }

        StateComparison.Describe(text, run.Before, run.Translated, core.State);
        if (core.Scalable != null)
        {
            ScalableComparison.Describe(text, run.Translated, core.State);
        }

        DescribeMemory(text, core, run);
        text.Append("guest code, as interpreted:\n");
        foreach ((ulong pc, uint word) in path)
        {
            text.Append(culture, $"  {pc:x16}  {word:x8}  {EncodingTable.MnemonicOf(word)}\n");
        }

        text.Append("host code, entered at =>:\n");
        BlockCode block = translations.BlockAt(code, out _);
        void AddHostCode(byte* at, string line) => text.Append(culture, $"{(at == code ? "=>" : "  ")}{(nuint)at:x12}  {line}\n");
        translations.Disassemble(block.Hot, block.HotEnd, AddHostCode);
        translations.Disassemble(block.Ways, block.ColdEnd, AddHostCode);
        text.Append(culture, $"before:\n{RegisterDump.Of(core, run.Before)}\n");
        run.Translated->Pc = end;
        text.Append(culture, $"after, translated:\n{RegisterDump.Of(core, run.Translated)}\n");
        text.Append(culture, $"after, interpreted:\n{RegisterDump.Of(core, core.State)}\n");
        return text.ToString();
    }

    private static void DescribeMemory(StringBuilder text, VcpuCore core, LockstepCpu run)
    {
        int lines = 0;
        foreach ((nint host, (byte translated, byte interpreted)) in run.DifferentBytes() ?? [])
        {
            if (++lines > MostBytes)
            {
                text.Append("  and more bytes of memory\n");
                return;
            }

            text.Append(CultureInfo.InvariantCulture,
                $"  memory 0x{GuestAddress(core.Bus, (byte*)host):x} translated {translated:x2}, interpreted {interpreted:x2}\n");
        }
    }

    // Physical.
    private static ulong GuestAddress(PhysicalAddressSpace bus, byte* host)
    {
        foreach (GuestMemory memory in bus.Memories)
        {
            if (host >= memory.Host && host < memory.Host + memory.Size)
            {
                return memory.Start.Value + (ulong)(host - memory.Host);
            }
        }

        return 0;
    }
}
