using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Loads and stores of general registers (Arm ARM C4.1.96), except exclusives and atomics.</summary>
internal static unsafe class LoadsAndStores
{
    public static readonly EncodingRow[] Rows =
    [
        // Unsigned offset.
        new("00 111 0 01 00 iiiiiiiiiiii nnnnn ttttt", "STRB (unsigned offset)", &Operands.StoreUnsignedOffset, &LoadStore.Store<Offset, GeneralRegisters, byte>, flags: RowFlags.Memory),
        new("00 111 0 01 01 iiiiiiiiiiii nnnnn ttttt", "LDRB (unsigned offset)", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 01 00 iiiiiiiiiiii nnnnn ttttt", "STRH (unsigned offset)", &Operands.StoreUnsignedOffset, &LoadStore.Store<Offset, GeneralRegisters, ushort>, flags: RowFlags.Memory),
        new("01 111 0 01 01 iiiiiiiiiiii nnnnn ttttt", "LDRH (unsigned offset)", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 01 00 iiiiiiiiiiii nnnnn ttttt", "STR (unsigned offset) 32", &Operands.StoreUnsignedOffset, &LoadStore.Store<Offset, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("10 111 0 01 01 iiiiiiiiiiii nnnnn ttttt", "LDR (unsigned offset) 32", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 01 00 iiiiiiiiiiii nnnnn ttttt", "STR (unsigned offset) 64", &Operands.StoreUnsignedOffset, &LoadStore.Store<Offset, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("11 111 0 01 01 iiiiiiiiiiii nnnnn ttttt", "LDR (unsigned offset) 64", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 01 10 iiiiiiiiiiii nnnnn ttttt", "LDRSB (unsigned offset) 64", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 01 11 iiiiiiiiiiii nnnnn ttttt", "LDRSB (unsigned offset) 32", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 01 10 iiiiiiiiiiii nnnnn ttttt", "LDRSH (unsigned offset) 64", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 01 11 iiiiiiiiiiii nnnnn ttttt", "LDRSH (unsigned offset) 32", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 01 10 iiiiiiiiiiii nnnnn ttttt", "LDRSW (unsigned offset) 64", &Operands.LoadUnsignedOffset, &LoadStore.Load<Offset, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Signed 9-bit offset, unscaled.
        new("00 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt", "STURB", &Operands.StoreImm9, &LoadStore.Store<Offset, GeneralRegisters, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt", "LDURB", &Operands.LoadImm9, &LoadStore.Load<Offset, Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt", "STURH", &Operands.StoreImm9, &LoadStore.Store<Offset, GeneralRegisters, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt", "LDURH", &Operands.LoadImm9, &LoadStore.Load<Offset, Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt", "STUR 32", &Operands.StoreImm9, &LoadStore.Store<Offset, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("10 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt", "LDUR 32", &Operands.LoadImm9, &LoadStore.Load<Offset, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt", "STUR 64", &Operands.StoreImm9, &LoadStore.Store<Offset, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("11 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt", "LDUR 64", &Operands.LoadImm9, &LoadStore.Load<Offset, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt", "LDURSB 64", &Operands.LoadImm9, &LoadStore.Load<Offset, Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 11 0 iiiiiiiii 00 nnnnn ttttt", "LDURSB 32", &Operands.LoadImm9, &LoadStore.Load<Offset, Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt", "LDURSH 64", &Operands.LoadImm9, &LoadStore.Load<Offset, Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 11 0 iiiiiiiii 00 nnnnn ttttt", "LDURSH 32", &Operands.LoadImm9, &LoadStore.Load<Offset, Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt", "LDURSW 64", &Operands.LoadImm9, &LoadStore.Load<Offset, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Signed 9-bit offset, post-index.
        new("00 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt", "STRB (post-index)", &Operands.StoreImm9, &LoadStore.Store<PostIndex, GeneralRegisters, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt", "LDRB (post-index)", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt", "STRH (post-index)", &Operands.StoreImm9, &LoadStore.Store<PostIndex, GeneralRegisters, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt", "LDRH (post-index)", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt", "STR (post-index) 32", &Operands.StoreImm9, &LoadStore.Store<PostIndex, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("10 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt", "LDR (post-index) 32", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt", "STR (post-index) 64", &Operands.StoreImm9, &LoadStore.Store<PostIndex, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("11 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt", "LDR (post-index) 64", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt", "LDRSB (post-index) 64", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 11 0 iiiiiiiii 01 nnnnn ttttt", "LDRSB (post-index) 32", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt", "LDRSH (post-index) 64", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 11 0 iiiiiiiii 01 nnnnn ttttt", "LDRSH (post-index) 32", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt", "LDRSW (post-index) 64", &Operands.LoadImm9, &LoadStore.Load<PostIndex, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Signed 9-bit offset, pre-index.
        new("00 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt", "STRB (pre-index)", &Operands.StoreImm9, &LoadStore.Store<PreIndex, GeneralRegisters, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt", "LDRB (pre-index)", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt", "STRH (pre-index)", &Operands.StoreImm9, &LoadStore.Store<PreIndex, GeneralRegisters, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt", "LDRH (pre-index)", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt", "STR (pre-index) 32", &Operands.StoreImm9, &LoadStore.Store<PreIndex, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("10 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt", "LDR (pre-index) 32", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt", "STR (pre-index) 64", &Operands.StoreImm9, &LoadStore.Store<PreIndex, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("11 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt", "LDR (pre-index) 64", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt", "LDRSB (pre-index) 64", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 11 0 iiiiiiiii 11 nnnnn ttttt", "LDRSB (pre-index) 32", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt", "LDRSH (pre-index) 64", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 11 0 iiiiiiiii 11 nnnnn ttttt", "LDRSH (pre-index) 32", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt", "LDRSW (pre-index) 64", &Operands.LoadImm9, &LoadStore.Load<PreIndex, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Unprivileged.
        new("00 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt", "STTRB", &Operands.StoreImm9, &LoadStore.StoreUnprivileged<byte>, flags: RowFlags.Memory),
        new("00 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt", "LDTRB", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt", "STTRH", &Operands.StoreImm9, &LoadStore.StoreUnprivileged<ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt", "LDTRH", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt", "STTR 32", &Operands.StoreImm9, &LoadStore.StoreUnprivileged<uint>, flags: RowFlags.Memory),
        new("10 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt", "LDTR 32", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt", "STTR 64", &Operands.StoreImm9, &LoadStore.StoreUnprivileged<ulong>, flags: RowFlags.Memory),
        new("11 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt", "LDTR 64", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt", "LDTRSB 64", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 11 0 iiiiiiiii 10 nnnnn ttttt", "LDTRSB 32", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt", "LDTRSH 64", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 11 0 iiiiiiiii 10 nnnnn ttttt", "LDTRSH 32", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt", "LDTRSW 64", &Operands.LoadImm9, &LoadStore.LoadUnprivileged<Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Register offset: option<1> = 0 is reserved.
        new("00 111 0 00 00 1 mmmmm e1e s 10 nnnnn ttttt", "STRB (register offset)", &Operands.StoreRegisterOffset, &LoadStore.Store<RegisterOffset, GeneralRegisters, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 01 1 mmmmm e1e s 10 nnnnn ttttt", "LDRB (register offset)", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Unsigned<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 00 1 mmmmm e1e s 10 nnnnn ttttt", "STRH (register offset)", &Operands.StoreRegisterOffset, &LoadStore.Store<RegisterOffset, GeneralRegisters, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 01 1 mmmmm e1e s 10 nnnnn ttttt", "LDRH (register offset)", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Unsigned<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 00 1 mmmmm e1e s 10 nnnnn ttttt", "STR (register offset) 32", &Operands.StoreRegisterOffset, &LoadStore.Store<RegisterOffset, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("10 111 0 00 01 1 mmmmm e1e s 10 nnnnn ttttt", "LDR (register offset) 32", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("11 111 0 00 00 1 mmmmm e1e s 10 nnnnn ttttt", "STR (register offset) 64", &Operands.StoreRegisterOffset, &LoadStore.Store<RegisterOffset, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("11 111 0 00 01 1 mmmmm e1e s 10 nnnnn ttttt", "LDR (register offset) 64", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("00 111 0 00 10 1 mmmmm e1e s 10 nnnnn ttttt", "LDRSB (register offset) 64", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Signed64<byte>, byte>, flags: RowFlags.Memory),
        new("00 111 0 00 11 1 mmmmm e1e s 10 nnnnn ttttt", "LDRSB (register offset) 32", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Signed32<byte>, byte>, flags: RowFlags.Memory),
        new("01 111 0 00 10 1 mmmmm e1e s 10 nnnnn ttttt", "LDRSH (register offset) 64", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Signed64<ushort>, ushort>, flags: RowFlags.Memory),
        new("01 111 0 00 11 1 mmmmm e1e s 10 nnnnn ttttt", "LDRSH (register offset) 32", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Signed32<ushort>, ushort>, flags: RowFlags.Memory),
        new("10 111 0 00 10 1 mmmmm e1e s 10 nnnnn ttttt", "LDRSW (register offset) 64", &Operands.LoadRegisterOffset, &LoadStore.Load<RegisterOffset, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Literal.
        new("00 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "LDR (literal) 32", &Operands.LoadLiteral, &LoadStore.LoadLiteral<Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("01 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "LDR (literal) 64", &Operands.LoadLiteral, &LoadStore.LoadLiteral<Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("10 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "LDRSW (literal)", &Operands.LoadLiteral, &LoadStore.LoadLiteral<Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Pairs.
        new("00 101 0 000 0 iiiiiii uuuuu nnnnn ttttt", "STNP 32", &Operands.StorePair, &LoadStore.StorePair<Offset, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("00 101 0 000 1 iiiiiii uuuuu nnnnn ttttt", "LDNP 32", &Operands.LoadPair, &LoadStore.LoadPair<Offset, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("00 101 0 010 0 iiiiiii uuuuu nnnnn ttttt", "STP (signed offset) 32", &Operands.StorePair, &LoadStore.StorePair<Offset, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("00 101 0 010 1 iiiiiii uuuuu nnnnn ttttt", "LDP (signed offset) 32", &Operands.LoadPair, &LoadStore.LoadPair<Offset, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("00 101 0 001 0 iiiiiii uuuuu nnnnn ttttt", "STP (post-index) 32", &Operands.StorePair, &LoadStore.StorePair<PostIndex, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("00 101 0 001 1 iiiiiii uuuuu nnnnn ttttt", "LDP (post-index) 32", &Operands.LoadPair, &LoadStore.LoadPair<PostIndex, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("00 101 0 011 0 iiiiiii uuuuu nnnnn ttttt", "STP (pre-index) 32", &Operands.StorePair, &LoadStore.StorePair<PreIndex, GeneralRegisters, uint>, flags: RowFlags.Memory),
        new("00 101 0 011 1 iiiiiii uuuuu nnnnn ttttt", "LDP (pre-index) 32", &Operands.LoadPair, &LoadStore.LoadPair<PreIndex, Unsigned<uint>, uint>, flags: RowFlags.Memory),
        new("10 101 0 000 0 iiiiiii uuuuu nnnnn ttttt", "STNP 64", &Operands.StorePair, &LoadStore.StorePair<Offset, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("10 101 0 000 1 iiiiiii uuuuu nnnnn ttttt", "LDNP 64", &Operands.LoadPair, &LoadStore.LoadPair<Offset, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("10 101 0 010 0 iiiiiii uuuuu nnnnn ttttt", "STP (signed offset) 64", &Operands.StorePair, &LoadStore.StorePair<Offset, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("10 101 0 010 1 iiiiiii uuuuu nnnnn ttttt", "LDP (signed offset) 64", &Operands.LoadPair, &LoadStore.LoadPair<Offset, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("10 101 0 001 0 iiiiiii uuuuu nnnnn ttttt", "STP (post-index) 64", &Operands.StorePair, &LoadStore.StorePair<PostIndex, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("10 101 0 001 1 iiiiiii uuuuu nnnnn ttttt", "LDP (post-index) 64", &Operands.LoadPair, &LoadStore.LoadPair<PostIndex, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("10 101 0 011 0 iiiiiii uuuuu nnnnn ttttt", "STP (pre-index) 64", &Operands.StorePair, &LoadStore.StorePair<PreIndex, GeneralRegisters, ulong>, flags: RowFlags.Memory),
        new("10 101 0 011 1 iiiiiii uuuuu nnnnn ttttt", "LDP (pre-index) 64", &Operands.LoadPair, &LoadStore.LoadPair<PreIndex, Unsigned<ulong>, ulong>, flags: RowFlags.Memory),
        new("01 101 0 010 1 iiiiiii uuuuu nnnnn ttttt", "LDPSW (signed offset)", &Operands.LoadPair, &LoadStore.LoadPair<Offset, Signed64<uint>, uint>, flags: RowFlags.Memory),
        new("01 101 0 001 1 iiiiiii uuuuu nnnnn ttttt", "LDPSW (post-index)", &Operands.LoadPair, &LoadStore.LoadPair<PostIndex, Signed64<uint>, uint>, flags: RowFlags.Memory),
        new("01 101 0 011 1 iiiiiii uuuuu nnnnn ttttt", "LDPSW (pre-index)", &Operands.LoadPair, &LoadStore.LoadPair<PreIndex, Signed64<uint>, uint>, flags: RowFlags.Memory),

        // Prefetch.
        new("11 111 0 01 10 iiiiiiiiiiii nnnnn ttttt", "PRFM (immediate)", &Operands.None, &LoadStore.Nothing),
        new("11 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt", "PRFUM", &Operands.None, &LoadStore.Nothing),
        new("11 111 0 00 10 1 mmmmm e1e s 10 nnnnn ttttt", "PRFM (register)", &Operands.None, &LoadStore.Nothing),
        new("11 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "PRFM (literal)", &Operands.None, &LoadStore.Nothing),
    ];
}
