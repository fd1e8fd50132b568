using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Programs for the system fuzzer: their accesses go to pages that may be missing, read-only, another exception level's or device memory,
/// and cross from one to the next; they change their own instructions with the sequence that the Arm ARM gives (B2.4.4), at EL1 also their
/// translations.
/// </summary>
internal sealed class SystemProgramGenerator(CaseGenerator random, bool el1)
    : ProgramGenerator(random, scalable: true)
{
    protected override uint[] MakePointer(bool aligned, int reach = 64)
    {
        // MOVZ X25, #offset; ADD X26, X27, X25: near a page's end, or anywhere in the 16 pages.
        int offset = Random.Next(3) == 0
            ? Random.Next(SystemFuzzMachine.DataSize)
            : (1 + Random.Next(SystemFuzzMachine.DataPages)) * 4096 - 40 + Random.Next(64);
        offset = Math.Min(offset, SystemFuzzMachine.DataSize - 1);
        uint immediate = (uint)(aligned ? offset & ~15 : offset);
        return [0xD280_0000 | (immediate << 5) | Second, 0x8B00_0000 | (Second << 16) | (Base << 5) | Pointer];
    }

    protected override void Special(int items)
    {
        switch (Random.Next(el1 ? 9 : 5))
        {
            case 4:
                Tag();
                break;
            case < 3:
                Replace(items);
                break;
            case 3:
                // SVC.
                AddItem([0xD400_0001 | ((uint)Random.Next(0x10000) << 5)]);
                break;
            case < 7:
                AddItem(ChangeTranslation());
                break;
            case 7:
                // MSR PAN; MSR DAIFSet and DAIFClr of A, I and F.
                AddItem([Random.Next(3) switch
                {
                    0 => 0xD500_409F | ((uint)Random.Next(2) << 8),
                    1 => 0xD503_40DF | ((uint)Random.Next(8) << 8),
                    _ => 0xD503_40FF | ((uint)Random.Next(8) << 8),
                }]);
                break;
            default:
                // MRS of ELR_EL1, ESR_EL1, FAR_EL1, PAR_EL1, DAIF, CurrentEL, TTBR0_EL1; AT S1E1R.
                AddItem([Random.Next(8) switch
                {
                    0 => 0xD538_4020 | (uint)Random.Next(24),
                    1 => 0xD538_5200 | (uint)Random.Next(24),
                    2 => 0xD538_6000 | (uint)Random.Next(24),
                    3 => 0xD538_7400 | (uint)Random.Next(24),
                    4 => 0xD53B_4220 | (uint)Random.Next(24),
                    5 => 0xD538_4240 | (uint)Random.Next(24),
                    6 => 0xD538_2000 | (uint)Random.Next(24),
                    _ => 0xD508_7800 | Pointer,
                }]);
                break;
        }
    }

    // At X26, mostly a multiple of 16: STG, ST2G, STZG, STZ2G, STGP, LDG, LDGM, STGM, DC GZVA. ADDG and IRG make a pointer of it, at which
    // something is loaded. Or PSTATE.TCO changes.
    private void Tag()
    {
        uint at = (Pointer << 5) | Second;
        uint load = 0xF940_0000 | (Second << 5) | (uint)Random.Next(24);
        uint made = (Pointer << 5) | Second;
        uint[] words = Random.Next(12) switch
        {
            0 => [0xD920_0800 | at],
            1 => [0xD9A0_0800 | at],
            2 => [0xD960_0800 | at],
            3 => [0xD9E0_0800 | at],
            4 => [0x6900_0000 | (Third << 10) | at],
            5 => [0xD960_0000 | at],
            6 => [0xD9E0_0000 | at],
            7 => [0xD9A0_0000 | at],
            8 => [0xD50B_7480 | Pointer],
            9 => [0x9180_0000 | ((uint)Random.Next(16) << 10) | made, load],
            10 => [0x9ADF_1000 | made, load],
            _ => [0xD503_409F | ((uint)Random.Next(2) << 8)],
        };
        AddItem([.. MakePointer(aligned: Random.Next(8) != 0), .. words]);
    }

    // ADR X25, item; W26 = its new instruction; X24 = its address, or that in the alias; STR; DC CVAU; DSB; IC IVAU; DSB; ISB.
    private void Replace(int items)
    {
        int target;
        if (Random.Next(2) == 0 && PlainItems.Count > 0)
        {
            target = PlainItems[Random.Next(PlainItems.Count)];
        }
        else
        {
            target = Items + 1 + Random.Next(6);
            if (target >= items)
            {
                return;
            }

            KeepPlain(target);
        }

        uint word = 0;
        while (word == 0)
        {
            word = Random.Next(5) switch { 0 => 0xD503_201F, 1 => Vector(), _ => Plain() };
        }

        uint[] place = Random.Next(2) == 0
            ? [0xD2A0_0400 | Third, 0x8B00_0000 | (Third << 16) | (Second << 5) | Third]
            : [0xAA00_03E0 | (Second << 16) | Third];
        AddAddressItem(
            [
                0x1000_0000 | Second, 0x5280_0000 | ((word & 0xFFFF) << 5) | Pointer, 0x72A0_0000 | ((word >> 16) << 5) | Pointer, .. place,
                0xB900_0000 | (Third << 5) | Pointer, 0xD50B_7B20 | Second, 0xD503_3B9F, 0xD50B_7520 | Second, 0xD503_3B9F, 0xD503_3FDF,
            ],
            target);
    }

    // X25 = address of a descriptor, X26 = another value for it, X24 = the page; STR; DSB ISHST; TLBI VAAE1; DSB ISH; ISB.
    private uint[] ChangeTranslation()
    {
        int page = Random.Next(SystemFuzzMachine.DataPages);
        ulong descriptor = SystemFuzzMachine.RandomDescriptor(Random, page, el1);
        ulong place = SystemFuzzMachine.DataTable + ((ulong)page * 8);
        ulong number = (SystemFuzzMachine.Data >> 12) + (ulong)page;
        return
        [
            .. Load(Second, place), .. Load(Pointer, descriptor), .. Load(Third, number),
            0xF900_0000 | (Second << 5) | Pointer, 0xD503_3A9F, 0xD508_8760 | Third, 0xD503_3B9F, 0xD503_3FDF,
        ];
    }

    // MOVZ and three MOVK.
    private static uint[] Load(uint register, ulong value) =>
    [
        0xD280_0000 | ((uint)(value & 0xFFFF) << 5) | register, 0xF2A0_0000 | ((uint)((value >> 16) & 0xFFFF) << 5) | register,
        0xF2C0_0000 | ((uint)((value >> 32) & 0xFFFF) << 5) | register, 0xF2E0_0000 | ((uint)(value >> 48) << 5) | register,
    ];
}
