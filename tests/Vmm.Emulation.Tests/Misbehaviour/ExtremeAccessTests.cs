using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Accesses across the end of RAM, from memory into a device and from a device into memory, with the MMU on and off: the fault names the
/// first byte that nothing holds, and registers stay as they were. (An access that lies in normal memory and in a device is CONSTRAINED
/// UNPREDICTABLE, Arm ARM K1.1.9: of those only that they end.)
/// </summary>
public sealed unsafe class ExtremeAccessTests(ITestOutputHelper output) : IDisposable
{
    private const ulong Root = HostileMachine.Ram + 0x10_0000;
    private const ulong Table = Root + 0x1000;
    private const ulong Pages = Root + 0x2000;
    private const ulong Normal = (1 << 10) | (3 << 8) | (1ul << 53) | (1ul << 54) | 3;
    private const ulong Device = Normal | (1 << 2);

    // Pages of the upper part of the map: the last of RAM and nothing behind it, as normal and as device memory; RAM and the UART behind
    // it; the UART and RAM behind it; RAM as device memory.
    private const ulong NormalEnd = 0x8000_1000;
    private const ulong DeviceEnd = 0x8000_4000;
    private const ulong IntoDevice = 0x8000_7000;
    private const ulong OutOfDevice = 0x8000_A000;
    private const ulong DeviceRam = 0x8000_C000;
    private const uint DataAbort = 0x25;
    private const uint External = 0x10;
    private const uint Alignment = 0x21;
    private const uint UnsupportedExclusive = 0x35;
    private const uint Write = 1 << 6;

    private readonly HostileMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    private void MakeTables()
    {
        ((ulong*)_machine.Host(Root))[1] = HostileMachine.Ram | (1 << 10) | (3 << 8) | 1;
        ((ulong*)_machine.Host(Root))[2] = Table | 3;
        ((ulong*)_machine.Host(Table))[0] = Pages | 3;
        ulong* pages = (ulong*)_machine.Host(Pages);
        pages[0] = (HostileMachine.RamEnd - 0x1000) | Normal;
        pages[1] = HostileMachine.RamEnd | Normal;
        pages[3] = (HostileMachine.RamEnd - 0x1000) | Device;
        pages[4] = HostileMachine.RamEnd | Device;
        pages[6] = (HostileMachine.RamEnd - 0x1000) | Normal;
        pages[7] = VirtMap.Board.Uart.Address | Device;
        pages[9] = VirtMap.Board.Uart.Address | Device;
        pages[10] = (HostileMachine.RamEnd - 0x1000) | Normal;
        pages[12] = (HostileMachine.RamEnd - 0x1000) | Device;
    }

    // Executes one instruction with X1 as the base; true when it was executed.
    private bool Execute(uint word, ulong x1, bool mmu, ulong sctlr = 0)
    {
        MakeTables();
        _machine.Write(HostileMachine.Code, word, HostileMachine.Stay);
        _machine.Core.Code.InvalidateAll();
        _machine.Place(_machine.Core, HostileMachine.Code);
        _machine.SetRegime(HostileMachine.Untranslated(25 | (2ul << 32))
            with { Sctlr = Sctlr.Reset | (mmu ? Sctlr.M : 0) | sctlr, Ttbr0 = Root });
        _machine.State->MairEl1 = 0xFF;
        _machine.Core.Mmu.Flush();
        for (int i = 0; i < 31; i++)
        {
            _machine.State->X[i] = 0x0101_0101_0101_0101ul * (uint)i;
        }

        _machine.State->X[1] = x1;
        _machine.State->X[CpuState.Sp] = x1;
        Assert.Equal(VcpuExit.BudgetSpent, _machine.Core.Run(1));
        HostileMachine.AssertLegal(_machine.Core, $"{word:x8} at {x1:x}");
        return _machine.State->Pc == HostileMachine.Code + 4;
    }

    [Theory]
    [InlineData("ldr x2, [x1]", 0xF940_0022, NormalEnd - 4, External, NormalEnd)]
    [InlineData("ldrh w2, [x1]", 0x7940_0022, NormalEnd - 1, External, NormalEnd)]
    [InlineData("ldp x2, x3, [x1]", 0xA940_0C22, NormalEnd - 8, External, NormalEnd)]
    [InlineData("ldp x2, x3, [x1], #16", 0xA8C1_0C22, NormalEnd - 12, External, NormalEnd)]
    [InlineData("ldp q2, q3, [x1]", 0xAD40_0C22, NormalEnd - 16, External, NormalEnd)]
    [InlineData("ldr q2, [x1]", 0x3DC0_0022, NormalEnd - 8, External, NormalEnd)]
    [InlineData("ld4 {v2.16b-v5.16b}, [x1]", 0x4C40_0022, NormalEnd - 63, External, NormalEnd)]
    [InlineData("ld4 {v2.2d-v5.2d}, [x1], #64", 0x4CDF_0C22, NormalEnd - 60, External, NormalEnd)]
    [InlineData("ld1r {v2.2d}, [x1]", 0x4D40_CC22, NormalEnd - 1, External, NormalEnd)]
    [InlineData("str x2, [x1]", 0xF900_0022, NormalEnd - 4, External | Write, NormalEnd)]
    [InlineData("stp x2, x3, [x1, #16]!", 0xA981_0C22, NormalEnd - 24, External | Write, NormalEnd)]
    [InlineData("st4 {v2.16b-v5.16b}, [x1]", 0x4C00_0022, NormalEnd - 1, External | Write, NormalEnd)]
    [InlineData("ldp x2, x3, [x1]", 0xA940_0C22, DeviceEnd - 8, External, DeviceEnd)]
    [InlineData("ldr x2, [x1]", 0xF940_0022, DeviceEnd - 4, Alignment, DeviceEnd - 4)]
    [InlineData("ldp q2, q3, [x1]", 0xAD40_0C22, DeviceEnd - 16, External, DeviceEnd)]
    [InlineData("ldr q2, [x1]", 0x3DC0_0022, DeviceEnd - 8, Alignment, DeviceEnd - 8)]
    [InlineData("str x2, [x1]", 0xF900_0022, OutOfDevice - 4, Alignment | Write, OutOfDevice - 4)]
    [InlineData("ldar x2, [x1]", 0xC8DF_FC22, NormalEnd - 4, Alignment, NormalEnd - 4)]
    [InlineData("ldxr x2, [x1]", 0xC85F_7C22, DeviceRam, UnsupportedExclusive, DeviceRam)]
    [InlineData("ldxp x2, x3, [x1]", 0xC87F_0C22, DeviceRam, UnsupportedExclusive, DeviceRam)]
    [InlineData("ldxr x2, [x1]", 0xC85F_7C22, DeviceRam + 4, Alignment, DeviceRam + 4)]
    [InlineData("ldadd x0, x2, [x1]", 0xF820_0022, DeviceRam, UnsupportedExclusive | Write, DeviceRam)]
    [InlineData("cas x0, x2, [x1]", 0xC8A0_7C22, DeviceRam, UnsupportedExclusive | Write, DeviceRam)]
    [InlineData("ldxr x2, [x1]", 0xC85F_7C22, NormalEnd, UnsupportedExclusive, NormalEnd)]
    [InlineData("dc zva, x1", 0xD50B_7421, NormalEnd + 5, External | Write, NormalEnd)]
    [InlineData("dc zva, x1", 0xD50B_7421, DeviceRam + 5, Alignment | Write, DeviceRam + 5)]
    public void Access_faults_at_its_first_byte_that_is_not_memory(string name, uint word, ulong address, uint syndrome, ulong far)
    {
        Assert.False(Execute(word, address, mmu: true), name);
        _machine.AssertTook(DataAbort, syndrome, HostileMachine.Code, far, Pstate.ModeEl1h | Pstate.DaifMask, name);
        for (int i = 0; i < 31; i++)
        {
            Assert.True(_machine.State->X[i] == (i == 1 ? address : 0x0101_0101_0101_0101ul * (uint)i), $"{name} changed X{i}");
        }
    }

    [Theory]
    [InlineData("dc zva, x1", 0xD50B_7421, NormalEnd - 1)]
    [InlineData("ldp x2, x3, [x1]", 0xA940_0C22, NormalEnd - 16)]
    [InlineData("st4 {v2.16b-v5.16b}, [x1]", 0x4C00_0022, NormalEnd - 64)]
    [InlineData("ldp x2, x3, [x1]", 0xA940_0C22, IntoDevice - 8)]
    [InlineData("stp x2, x3, [x1]", 0xA900_0C22, OutOfDevice - 8)]
    public void Access_that_ends_with_the_last_byte_is_done(string name, uint word, ulong address) =>
        Assert.True(Execute(word, address, mmu: true), $"{name}: ESR {_machine.State->EsrEl1:x} FAR {_machine.State->FarEl1:x}");

    /// <summary>
    /// Every load, store and address operation at every edge, in all alignments: done or a data or stack alignment fault, nothing else.
    /// </summary>
    [Fact]
    public void Memory_instruction_at_an_edge_is_done_or_faults()
    {
        const int Seed = 20261129;
        const int Cases = 60_000;
        var garbage = new GarbageCode(Seed);
        uint[] rows = [.. Cpu.Decoding.EncodingTable.Rows.Where(r => r.AccessesMemory).Select(r => r.Value)];
        ulong[] edges =
        [
            NormalEnd, DeviceEnd, IntoDevice, OutOfDevice, DeviceRam, HostileMachine.RamEnd,
            0, ulong.MaxValue, 1ul << 48, VirtMap.Board.Uart.Address,
        ];
        int done = 0;
        for (int i = 0; i < Cases; i++)
        {
            uint word = rows[garbage.Random.Next(rows.Length)] & ~0x3E0u | (garbage.Random.Next(8) == 0 ? 31u << 5 : 1u << 5);
            ulong at = edges[garbage.Random.Next(edges.Length)] + (ulong)garbage.Random.Next(-80, 80);
            bool mmu = garbage.Random.Next(2) == 0;
            if (Execute(word, at, mmu, (garbage.Any() & (Sctlr.A | Sctlr.Sa)) | Sctlr.Uci))
            {
                done++;
                continue;
            }

            CpuState* s = _machine.State;
            Assert.True(s->Pc == HostileMachine.Vectors + 0x200 && s->ElrEl1 == HostileMachine.Code, $"{word:x8} at {at:x}: PC {s->Pc:x}");
            Assert.True(s->EsrEl1 >> 26 is 0x25 or 0x26 or 0x00, $"{word:x8} at {at:x}: ESR {s->EsrEl1:x}");
        }

        output.WriteLine($"[figure] accesses at edges: seed {Seed}, {Cases} cases, {done} done, {Cases - done} faults");
        Assert.InRange(done, Cases / 20, Cases - 1);
    }
}
