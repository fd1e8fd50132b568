using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.SystemRegisters;

/// <summary>Registers as <c>info registers</c> shows them.</summary>
public sealed unsafe class RegisterDumpTests
{
    // CPACR_EL1 enables FP and SVE, ZCR_EL1 asks for 256 bits; PTRUE P0.B, P1.H, P2.S, P3.D; PFALSE P4.B; SETFFR; INDEX Z0.B, #0, #1,
    // Z1.H, #1, #3, Z2.S, #5, #7, Z3.D, #9, #11; MOV Z4.B, P1/Z, #-1; FMOV D5, #1.5; general registers; CMP X0, X0; B to itself.
    private static readonly uint[] s_program =
    [
        0xD2A00060, 0xF2A00060, 0xD2A00660, 0xD5181040, 0xD5033FDF, 0xD2800020, 0xD5181200, 0xD5033FDF, 0x2518E3E0, 0x2558E3E1,
        0x2598E3E2, 0x25D8E3E3, 0x2518E404, 0x252C9000, 0x04214000, 0x04634021, 0x04A740A2, 0x04EB4123, 0x05111FE4, 0x1E6F1005,
        0xD2800020, 0xD2824681, 0xD2800002, 0xD2800003, 0x9100003F, 0xEB00001F, 0x14000000
    ];

    // What QEMU 10.0.2 shows of it, but for SVCR: max has no SME here.
    private const string Shown =
        """
        PSTATE=600003c5 -ZC- EL1h  BTYPE=0     FPCR=00000000 FPSR=00000000
        P00=ffffffff P01=55555555 P02=11111111 P03=01010101 P04=00000000 P05=00000000
        P06=00000000 P07=00000000 P08=00000000 P09=00000000 P10=00000000 P11=00000000
        P12=00000000 P13=00000000 P14=00000000 P15=00000000 FFR=ffffffff
        Z00=1f1e1d1c1b1a1918:1716151413121110:0f0e0d0c0b0a0908:0706050403020100
        Z01=002e002b00280025:0022001f001c0019:001600130010000d:000a000700040001
        Z02=000000360000002f:0000002800000021:0000001a00000013:0000000c00000005
        Z03=000000000000002a:000000000000001f:0000000000000014:0000000000000009
        Z04=00ff00ff00ff00ff:00ff00ff00ff00ff:00ff00ff00ff00ff:00ff00ff00ff00ff
        Z05=0000000000000000:0000000000000000:0000000000000000:3ff8000000000000

        """;

    [Fact]
    public void Vectors_and_predicates_are_shown_as_QEMU_shows_them()
    {
        using var bare = new BareCore(CpuModel.Find("max")!.WithScalable(0xFFFF));
        bare.Write(BareCore.Code, s_program);
        bare.Core.Run(100);
        Assert.Contains(Shown, bare.Core.DumpRegisters(), StringComparison.Ordinal);
    }
}
