using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>FEAT_MOPS where the places that are copied have the same entries of the TLB.</summary>
public sealed unsafe class MemoryCopyTests : IDisposable
{
    private const int Pages = 4;
    private const ulong From = 0x10_0000;
    private const ulong To = From + ((ulong)TlbEntry.Count * GuestMemory.PageSize);
    private const ulong FromFrame = TranslatedCores.Frames;
    private const ulong ToFrame = FromFrame + 0x1_0000;

    // [X0]!, [X1]!, X2! of CPYFP and of CPYP; the main part and the epilogue are the next two.
    private const uint Forward = 0x1901_0440;
    private const uint Any = 0x1D01_0440;
    private const uint NextStage = 1 << 22;

    private readonly TranslatedCores _machine = new(1);

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(Forward, 0)]
    [InlineData(Any, 0)]
    [InlineData(Forward, 100)]
    [InlineData(Any, 100)]
    public void Copy_between_places_that_share_entries_walks_the_tables_a_few_times_for_each_page(uint prologue, int offset)
    {
        var random = new Random(1);
        for (ulong page = 0; page < Pages * GuestMemory.PageSize; page += GuestMemory.PageSize)
        {
            _machine.Map(_machine.Root, From + page, FromFrame + page);
            _machine.Map(_machine.Root, To + page, ToFrame + page);
        }

        var from = new Span<byte>(_machine.Host(FromFrame), Pages * (int)GuestMemory.PageSize);
        random.NextBytes(from);
        VcpuCore core = _machine.Cores[0];
        int size = from.Length - 200;
        (core.State->X[0], core.State->X[1], core.State->X[2]) = (To + (ulong)offset, From + 50, (ulong)size);
        long before = core.Counters.DataTlbFills;
        for (uint stage = 0; stage < 3; stage++)
        {
            Assert.True(_machine.Execute(core, prologue + (stage * NextStage)));
        }

        Assert.Equal(0ul, core.State->X[2]);
        Assert.True(from.Slice(50, size).SequenceEqual(
            new Span<byte>((byte*)_machine.Host(ToFrame) + offset, size)));

        // A page of either side ends within one of the other, so each has two steps.
        Assert.InRange(core.Counters.DataTlbFills - before, 2 * Pages, 4 * (Pages + 1));
    }
}
