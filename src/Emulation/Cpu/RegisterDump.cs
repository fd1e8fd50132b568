using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Cpu;

/// <summary>Registers for people, as QEMU's <c>info registers</c> lays them out.</summary>
internal static unsafe class RegisterDump
{
    /// <summary>The general registers, PSTATE and what the last exception left.</summary>
    public static string Of(CpuState* s)
    {
        uint pstate = s->Pstate | s->Nzcv;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $" PC={s->Pc:x16}");
        for (int i = 0; i < 31; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $" X{i:d2}={s->X[i]:x16}");
            if (i % 3 == 1)
            {
                text.Append('\n');
            }
        }

        text.Append(CultureInfo.InvariantCulture, $"  SP={s->X[CpuState.Sp]:x16}\nPSTATE={pstate:x8} ");
        const string Flags = "NZCV";
        for (int i = 0; i < Flags.Length; i++)
        {
            text.Append((pstate & (0x8000_0000u >> i)) != 0 ? Flags[i] : '-');
        }

        text.Append(CultureInfo.InvariantCulture, $" EL{(pstate >> 2) & 3}{((pstate & 1) != 0 ? 'h' : 't')}");
        text.Append(CultureInfo.InvariantCulture, $" ELR_EL1={s->ElrEl1:x16} ESR_EL1={s->EsrEl1:x8} FAR_EL1={s->FarEl1:x16}");
        return text.ToString();
    }
}
