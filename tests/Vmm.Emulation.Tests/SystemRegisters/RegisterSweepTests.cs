using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.SystemRegisters;

/// <summary>
/// Every MRS and MSR of op0 = 2 and 3 on a vCPU that has no GIC and no timer. That those of a whole machine do what they should is for the
/// system oracle's payload <c>registers</c>.
/// </summary>
public sealed unsafe class RegisterSweepTests
{
    private const ulong Code = BareCore.Code + 0x2000;
    private const int Batch = 4096;
    private const int Encodings = 1 << 15;
    private const uint Stay = 0x1400_0000;
    private const uint Undefined = 1u << 25;
    private const uint SystemRegisterTrap = 0x18;

    [Theory]
    [InlineData("cortex-a57", false)]
    [InlineData("cortex-a57", true)]
    [InlineData("max", false)]
    [InlineData("max", true)]
    public void Every_encoding_executes_or_is_undefined_or_trapped(string model, bool el0)
    {
        using var bare = new BareCore(model);
        CpuState* s = bare.State;
        int executed = 0;
        int undefined = 0;
        int trapped = 0;
        foreach (uint read in new[] { 1u << 21, 0u })
        {
            for (uint first = 0; first < Encodings; first += Batch)
            {
                for (uint i = 0; i < Batch; i++)
                {
                    bare.Write(Code + (i * 8), 0xD510_0005 | read | ((first + i) << 5), Stay);
                }

                bare.Core.Code.InvalidateAll();
                for (uint i = 0; i < Batch; i++)
                {
                    ulong pc = Code + (i * 8);
                    bare.Core.Reset(pc, 0);
                    s->VbarEl1 = BareCore.Vectors;
                    s->X[5] = 0x5555_AAAA_1234_5678;
                    s->CpacrEl1 = (3 << 20) | (3 << 16);
                    bare.Core.SetPstate(el0 ? Pstate.ModeEl0t : s->Pstate);
                    bare.Core.Run(1);
                    if (s->Pc == pc + 4 || s->ElrEl1 == 0)
                    {
                        executed++;
                        continue;
                    }

                    Assert.Equal(pc, s->ElrEl1);
                    Assert.Equal(BareCore.Vectors + (el0 ? 0x400ul : 0x200), s->Pc);
                    Assert.Equal(read != 0 ? 0x5555_AAAA_1234_5678 : s->X[5], s->X[5]);
                    if (s->EsrEl1 == Undefined)
                    {
                        undefined++;
                    }
                    else
                    {
                        // EL1 traps EL0, and FEAT_IDST itself the identification registers that there are not: Rt = 5 and the direction.
                        Assert.True(el0 || (bare.Core.Model.TrapsIdRegisters && read != 0 && IsIdentification(first + i)));
                        Assert.Equal(SystemRegisterTrap, (uint)(s->EsrEl1 >> 26));
                        Assert.Equal(5ul << 5, s->EsrEl1 & (31 << 5));
                        Assert.Equal(read != 0 ? 1ul : 0, s->EsrEl1 & 1);
                        trapped++;
                    }
                }
            }
        }

        Assert.Equal(2 * Encodings, executed + undefined + trapped);
        Assert.InRange(executed, el0 ? 5 : 100, 300);
        Assert.Equal(el0 || bare.Core.Model.TrapsIdRegisters, trapped > 0);
    }

    // The feature ID space (Arm ARM D23.1.1): op0 3, op1 0, 1 or 3, CRn 0, CRm 0 to 7.
    private static bool IsIdentification(uint encoding) =>
        encoding >> 14 == 1 && ((encoding >> 11) & 7) is 0 or 1 or 3 && ((encoding >> 6) & 31) == 0;
}
