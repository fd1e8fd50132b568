using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Loads that acquire and stores that release, at a base register and an offset (Arm ARM C4.1.96, FEAT_LRCPC2).</summary>
internal static unsafe class OrderedAccesses
{
    public static readonly EncodingRow[] Rows =
    [
        new("00 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "STLURB", Operation.Stlurb, ReadRd | ReadRn | Store, &Operands.StoreImm9,
            &LoadStore.StoreReleaseOffset<byte>, Feature.Lrcpc2),
        new("00 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURB", Operation.Ldapurb, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Unsigned<byte>, byte>, Feature.Lrcpc2),
        new("00 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURSB 64", Operation.Ldapursb, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Signed64<byte>, byte>, Feature.Lrcpc2),
        new("00 011001 11 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURSB 32", Operation.Ldapursb, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Signed32<byte>, byte>, Feature.Lrcpc2),
        new("01 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "STLURH", Operation.Stlurh, ReadRd | ReadRn | Store, &Operands.StoreImm9,
            &LoadStore.StoreReleaseOffset<ushort>, Feature.Lrcpc2),
        new("01 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURH", Operation.Ldapurh, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Unsigned<ushort>, ushort>, Feature.Lrcpc2),
        new("01 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURSH 64", Operation.Ldapursh, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Signed64<ushort>, ushort>, Feature.Lrcpc2),
        new("01 011001 11 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURSH 32", Operation.Ldapursh, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Signed32<ushort>, ushort>, Feature.Lrcpc2),
        new("10 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "STLUR 32", Operation.Stlur, ReadRd | ReadRn | Store, &Operands.StoreImm9,
            &LoadStore.StoreReleaseOffset<uint>, Feature.Lrcpc2),
        new("10 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "LDAPUR 32", Operation.Ldapur, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Unsigned<uint>, uint>, Feature.Lrcpc2),
        new("10 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "LDAPURSW", Operation.Ldapursw, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Signed64<uint>, uint>, Feature.Lrcpc2),
        new("11 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "STLUR 64", Operation.Stlur, ReadRd | ReadRn | Store, &Operands.StoreImm9,
            &LoadStore.StoreReleaseOffset<ulong>, Feature.Lrcpc2),
        new("11 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "LDAPUR 64", Operation.Ldapur, WriteRd | ReadRn | Load, &Operands.LoadImm9,
            &LoadStore.LoadAcquireOffset<Unsigned<ulong>, ulong>, Feature.Lrcpc2),
    ];
}
