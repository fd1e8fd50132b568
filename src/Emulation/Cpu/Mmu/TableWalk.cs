using System.Buffers.Binary;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// Stage 1 translation of the EL1&amp;0 regime (Arm ARM D8): 4, 16 and 64 KiB granules, addresses of 48 bits, and of 52 with FEAT_LVA,
/// FEAT_LPA and FEAT_LPA2.
/// </summary>
internal static unsafe class TableWalk
{
    // Tables of fewer entries are aligned as this many bytes.
    private const ulong SmallestTable = 64;

    private const ulong DescriptorAddressMask = 0x0000_FFFF_FFFF_F000;

    // With TCR_EL1.DS: two more bits of the address, and the highest two in 9:8.
    private const ulong LargeDescriptorAddressMask = 0x0003_FFFF_FFFF_F000;

    // Fields of a page or block descriptor (Arm ARM D8.3).
    private const ulong ReadOnly = 1ul << 7;
    private const ulong AccessFlag = 1ul << 10;
    private const ulong DirtyManaged = 1ul << 51;

    // TCR_EL1: hardware sets access flags, and keeps track of what is dirty.
    private const ulong HardwareAccess = 1ul << 39;
    private const ulong HardwareDirty = 1ul << 40;

    /// <summary>The view that asks: exception level of the permissions, and whether PSTATE.PAN applies.</summary>
    /// <param name="Updates">
    /// Whether the access flag and the dirty state, where TCR_EL1 has hardware keep them, are written to the tables.
    /// </param>
    public readonly record struct View(int ExceptionLevel, bool Pan, bool Updates = false);

    /// <summary>Translates an address for an access. False: <paramref name="status"/> is the fault status code.</summary>
    public static bool Translate(VcpuMmu mmu, ulong va, AccessType access, View view, out Translation result, out int status)
    {
        CpuState* s = mmu.State;
        result = default;
        bool upper = ((va >> 55) & 1) != 0;
        ulong tcr = s->TcrEl1;
        bool topByteIgnored = ((tcr >> (upper ? 38 : 37)) & 1) != 0;

        if ((s->SctlrEl1 & Sctlr.M) == 0)
        {
            return TranslateFlat(mmu, va, access, topByteIgnored, ref result, out status);
        }

        // The region of the address, and whether the tables of that region may be walked.
        int granule = GranuleBits(mmu.Model, tcr, upper);
        bool large = HasLargeDescriptors(mmu.Model, tcr, granule);
        int inputSize = InputBits(mmu.Model, tcr, upper);
        ulong high = topByteIgnored ? (ulong)((long)(va << 8) >> 8) : va;
        ulong expected = upper ? ulong.MaxValue << inputSize : 0;
        bool walkDisabled = ((tcr >> (upper ? 23 : 7)) & 1) != 0;
        bool el0Disabled = view.ExceptionLevel == 0 && ((tcr >> (upper ? 56 : 55)) & 1) != 0 && mmu.Model.Has(Decoding.Feature.E0pd);
        bool tooWide = SizeField(tcr, upper) < 64 - inputSize && mmu.Model.IsLarge;
        if ((high & (ulong.MaxValue << inputSize)) != expected || walkDisabled || el0Disabled || tooWide)
        {
            status = FaultStatus.Translation;
            return false;
        }

        int stride = granule - 3;
        int level = 4 - ((inputSize - granule + stride - 1) / stride);
        int outputSize = Math.Min(mmu.Model.PhysicalAddressBits, IntermediateSize((int)(tcr >> 32) & 7));
        outputSize = large || granule == 16 ? outputSize : Math.Min(outputSize, 48);
        bool extended = outputSize > 48;
        ulong register = upper ? s->Ttbr1El1 : s->Ttbr0El1;
        ulong ttbr = (register & 0x0000_FFFF_FFFF_FFFE) | (extended ? ((register >> 2) & 15) << 48 : 0);
        int indexBits = inputSize - granule - ((3 - level) * stride);
        ulong table = ttbr & ~Math.Max((8ul << indexBits) - 1, SmallestTable - 1);
        if (table >> outputSize != 0)
        {
            status = FaultStatus.AddressSize;
            return false;
        }

        bool flat = ((tcr >> (upper ? 42 : 41)) & 1) != 0 && mmu.Model.Has(Decoding.Feature.Hpds);
        bool tableNoEl0 = false;
        bool tableReadOnly = false;
        bool tablePxn = false;
        bool tableUxn = false;
        while (true)
        {
            int shift = granule + ((3 - level) * stride);
            ulong index = ((va & ((1ul << inputSize) - 1)) >> shift) & ((1ul << indexBits) - 1);
            ulong address = table + (index * 8);
            if (mmu.Bus.FindMemory(address) is not { } memory)
            {
                status = FaultStatus.At(FaultStatus.ExternalAbortOnWalk, level);
                return false;
            }

            if (!mmu.TryUse(memory, address))
            {
                status = FaultStatus.PageMissing;
                return false;
            }

            ulong descriptor = Volatile.Read(ref *(ulong*)(memory.Host + (address - memory.Start.Value)));
            if ((s->SctlrEl1 & Sctlr.Ee) != 0)
            {
                descriptor = BinaryPrimitives.ReverseEndianness(descriptor);
            }

            bool isTable = (descriptor & 3) == 3 && level < 3;
            bool blockAllowed = level switch
            {
                3 => (descriptor & 2) != 0,
                2 => true,
                1 => granule == 12 || (granule == 14 ? large : mmu.Model.PhysicalAddressBits == 52),
                0 => granule == 12 && large,
                _ => false,
            };
            if ((descriptor & 1) == 0 || (!isTable && !blockAllowed) || (level < 3 && !isTable && (descriptor & 2) != 0))
            {
                status = FaultStatus.At(FaultStatus.Translation, level);
                return false;
            }

            ulong offsetMask = (1ul << (isTable ? granule : shift)) - 1;
            ulong output = descriptor & (large ? LargeDescriptorAddressMask : DescriptorAddressMask) & ~offsetMask;
            output |= !extended ? 0 : large ? ((descriptor >> 8) & 3) << 50 : ((descriptor >> 12) & 15) << 48;
            if (output >> outputSize != 0)
            {
                status = FaultStatus.At(FaultStatus.AddressSize, level);
                return false;
            }

            if (isTable)
            {
                // TCR_EL1.HPD0 and HPD1 take the hierarchical permissions away.
                tableNoEl0 |= ((descriptor >> 61) & 1) != 0 && !flat;
                tableReadOnly |= ((descriptor >> 62) & 1) != 0 && !flat;
                tablePxn |= ((descriptor >> 59) & 1) != 0 && !flat;
                tableUxn |= ((descriptor >> 60) & 1) != 0 && !flat;
                table = output;
                indexBits = stride;
                level++;
                continue;
            }

            bool managed = (tcr & HardwareAccess) != 0 && mmu.Model.Has(Decoding.Feature.Hafdbs);
            if ((descriptor & AccessFlag) == 0 && !managed)
            {
                status = FaultStatus.AccessFlag | level;
                return false;
            }

            result.Address = output | (va & offsetMask);
            result.SizeBits = shift;
            result.Global = ((descriptor >> 11) & 1) == 0;
            result.Guarded = ((descriptor >> 50) & 1) != 0 && mmu.Model.Has(Decoding.Feature.Bti);
            result.Attributes = (byte)(s->MairEl1 >> (int)(((descriptor >> 2) & 7) * 8));
            result.Shareability = (byte)((large ? tcr >> (upper ? 28 : 12) : descriptor >> 8) & 3);

            bool el0Access = ((descriptor >> 6) & 1) != 0 && !tableNoEl0;

            // A page that may be written and was not yet: it is read-only until its first write.
            bool clean = managed && (tcr & HardwareDirty) != 0 && (descriptor & (DirtyManaged | ReadOnly)) == (DirtyManaged | ReadOnly);
            bool readOnly = ((descriptor & ReadOnly) != 0 && !clean) || tableReadOnly;
            bool pxn = ((descriptor >> 53) & 1) != 0 || tablePxn;
            bool uxn = ((descriptor >> 54) & 1) != 0 || tableUxn;
            bool writeNever = (s->SctlrEl1 & Sctlr.Wxn) != 0;
            bool executable;
            if (view.ExceptionLevel == 0)
            {
                result.Readable = el0Access;
                result.Writable = el0Access && !readOnly;
                executable = !uxn && !(writeNever && result.Writable);
            }
            else
            {
                bool privileged = !(view.Pan && (el0Access || (!uxn && (s->SctlrEl1 & Sctlr.Epan) != 0)));
                result.Readable = privileged;
                result.Writable = privileged && !readOnly;
                executable = !pxn && !(el0Access && !readOnly) && !(writeNever && !readOnly);
            }

            bool allowed = access switch
            {
                AccessType.Read => result.Readable,
                AccessType.Write => result.Writable,
                _ => executable,
            };
            status = FaultStatus.Permission | level;
            ulong updated = descriptor | AccessFlag;
            if (clean && access == AccessType.Write)
            {
                updated &= ~ReadOnly;
            }

            if (!allowed || updated == descriptor || !view.Updates)
            {
                result.Writable &= !clean || (access == AccessType.Write && view.Updates);
                return allowed;
            }

            result.Writable &= !clean || access == AccessType.Write;
            if (memory.IsReadOnly)
            {
                status = FaultStatus.ExternalAbortOnWalk | level;
                return false;
            }

            // Where another CPU has changed the descriptor meanwhile, the walk begins again.
            return TryUpdate(mmu, memory, address, descriptor, updated) || Translate(mmu, va, access, view, out result, out status);
        }
    }

    // Writes a descriptor if it is still what was read.
    private static bool TryUpdate(VcpuMmu mmu, GuestMemory memory, ulong address, ulong old, ulong updated)
    {
        if ((mmu.State->SctlrEl1 & Sctlr.Ee) != 0)
        {
            (old, updated) = (BinaryPrimitives.ReverseEndianness(old), BinaryPrimitives.ReverseEndianness(updated));
        }

        memory.MarkWritten(address, sizeof(ulong));
        return Interlocked.CompareExchange(ref *(ulong*)(memory.Host + (address - memory.Start.Value)), updated, old) == old;
    }

    /// <summary>
    /// The bits of virtual addresses of a half of the address space: 64 less TCR_EL1.TxSZ, or the nearest number that the granule allows.
    /// </summary>
    public static int InputBits(CpuModel model, ulong tcr, bool upper)
    {
        int granule = GranuleBits(model, tcr, upper);
        int smallest = HasLargeDescriptors(model, tcr, granule) || (granule == 16 && model.IsLarge) ? 12 : 16;
        int largest = !model.Has(Decoding.Feature.Ttst) ? 39 : granule == 16 ? 47 : 48;
        return 64 - Math.Clamp(SizeField(tcr, upper), smallest, largest);
    }

    private static int SizeField(ulong tcr, bool upper) => (int)(tcr >> (upper ? 16 : 0)) & 0x3F;

    /// <summary>TCR_EL1.DS (FEAT_LPA2).</summary>
    public static bool HasLargeDescriptors(CpuModel model, ulong tcr) => ((tcr >> 59) & 1) != 0 && model.HasLpa2;

    // It is for granules of 4 and 16 KiB alone.
    private static bool HasLargeDescriptors(CpuModel model, ulong tcr, int granule) => granule != 16 && HasLargeDescriptors(model, tcr);

    // MMU off: addresses pass unchanged, data is Device-nGnRnE, instructions Normal (Arm ARM D8.2.8).
    private static bool TranslateFlat(VcpuMmu mmu, ulong va, AccessType access, bool topByteIgnored, ref Translation result, out int status)
    {
        ulong address = topByteIgnored ? va & 0x00FF_FFFF_FFFF_FFFF : va;
        if (address >> mmu.Model.PhysicalAddressBits != 0)
        {
            status = FaultStatus.AddressSize;
            return false;
        }

        result.Address = address;
        result.Attributes = access == AccessType.Execute ? (byte)0xFF : (byte)0;
        result.Shareability = 2;
        result.SizeBits = GuestMemory.PageShift;
        result.Global = true;
        result.Readable = true;
        result.Writable = true;
        status = 0;
        return true;
    }

    /// <summary>
    /// log2 of the granule of the half of the address space that <paramref name="upper"/> names. One that is reserved or not supported is
    /// taken for 4 KiB.
    /// </summary>
    public static int GranuleBits(CpuModel model, ulong tcr, bool upper)
    {
        int field = (int)(tcr >> (upper ? 30 : 14)) & 3;
        int bits = upper
            ? field switch { 1 => 14, 3 => 16, _ => 12 }
            : field switch { 1 => 16, 2 => 14, _ => 12 };
        return bits == 14 && !model.Has(Decoding.Feature.Granule16K) ? 12 : bits;
    }

    // TCR_EL1.IPS.
    private static int IntermediateSize(int field) => field switch
    {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    };
}
