using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>Registers for people, as QEMU's <c>info registers</c> lays them out, and what the last exception left.</summary>
internal static unsafe class RegisterDump
{
    private const int Quadword = 16;

    /// <summary>The general registers, PSTATE, those of FP, SIMD or SVE where they are enabled, and ELR_EL1, ESR_EL1 and FAR_EL1.</summary>
    /// <param name="core">A vCPU.</param>
    /// <param name="s">Its state, or a copy of that.</param>
    public static string Of(VcpuCore core, CpuState* s)
    {
        uint pstate = s->Pstate | s->Nzcv;
        var text = new StringBuilder();
        Add(text, $" PC={s->Pc:x16} ");
        for (int i = 0; i < 31; i++)
        {
            Add(text, $"X{i:d2}={s->X[i]:x16}{(i % 3 == 1 ? '\n' : ' ')}");
        }

        Add(text, $" SP={s->X[CpuState.Sp]:x16}\nPSTATE={pstate:x8} ");
        const string Flags = "NZCV";
        for (int i = 0; i < Flags.Length; i++)
        {
            text.Append((pstate & (0x8000_0000u >> i)) != 0 ? Flags[i] : '-');
        }

        Add(text, $" EL{(pstate >> 2) & 3}{((pstate & 1) != 0 ? 'h' : 't')}");
        if (core.Has(Feature.Bti))
        {
            Add(text, $"  BTYPE={(pstate >> 10) & 3}");
        }

        if (s->FpEnabled == 0)
        {
            text.Append("    FPU disabled\n");
        }
        else
        {
            Add(text, $"     FPCR={s->Fpcr:x8} FPSR={s->Fpsr:x8}\n");
            if (s->ScalableLength == 0)
            {
                AddVectors(text, s, 'Q');
            }
            else
            {
                AddScalable(text, s, s->ScalableLength / Quadword);
            }
        }

        Add(text, $"ELR_EL1={s->ElrEl1:x16} ESR_EL1={s->EsrEl1:x8} FAR_EL1={s->FarEl1:x16}");
        return text.ToString();
    }

    // Two registers of 128 bits in a line.
    private static void AddVectors(StringBuilder text, CpuState* s, char name)
    {
        for (int i = 0; i < ScalableRegisters.Vectors; i++)
        {
            Add(text, $"{name}{i:d2}={s->V[(2 * i) + 1]:x16}:{s->V[2 * i]:x16}{(i % 2 == 1 ? '\n' : ' ')}");
        }
    }

    private static void AddScalable(StringBuilder text, CpuState* s, int quadwords)
    {
        int inLine = quadwords switch { 1 => 8, 2 => 6, <= 4 => 3, _ => 1 };
        for (int p = 0; p < ScalableRegisters.Predicates; p++)
        {
            bool isLast = p == ScalableRegisters.Ffr;
            text.Append(isLast ? "FFR=" : string.Create(CultureInfo.InvariantCulture, $"P{p:d2}="));
            byte* bits = (byte*)s + ScalableRegisters.OffsetOfPredicate(p);
            for (int i = (quadwords * 2) - 1; i >= 0; i--)
            {
                Add(text, $"{bits[i]:x2}{(i % sizeof(ulong) == 0 && i != 0 ? ":" : "")}");
            }

            text.Append(isLast || p % inLine == inLine - 1 ? '\n' : ' ');
        }

        if (quadwords == 1)
        {
            AddVectors(text, s, 'Z');
            return;
        }

        for (int z = 0; z < ScalableRegisters.Vectors; z++)
        {
            Add(text, $"Z{z:d2}=");
            for (int i = quadwords - 1; i > 0; i--)
            {
                var high = (ulong*)((byte*)s + ScalableRegisters.OffsetOfHigh(z) + ((i - 1) * Quadword));
                bool isLive = ScalableRegisters.IsLive(s, z);
                Add(text, $"{(isLive ? high[1] : 0):x16}:{(isLive ? high[0] : 0):x16}:");
            }

            Add(text, $"{s->V[(2 * z) + 1]:x16}:{s->V[2 * z]:x16}\n");
        }
    }

    private static void Add(StringBuilder text, FormattableString what) => text.Append(what.ToString(CultureInfo.InvariantCulture));
}
