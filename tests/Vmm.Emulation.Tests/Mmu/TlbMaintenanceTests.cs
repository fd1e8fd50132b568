using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>
/// What each TLBI makes the next access look up again. "Kept" is not asked by the architecture, which lets a TLB forget anything at any
/// time: it is what keeps fork and exec from emptying the TLB.
/// </summary>
public abstract unsafe class TlbMaintenanceTests : IDisposable
{
    private const ulong PageA = 0x10_0000;
    private const ulong PageC = 0x10_1000;
    private const ulong PageG = 0x10_2000;
    private const ulong Old = 0x0101_0101;
    private const ulong New = 0x0202_0202;
    private const ulong OldFrame = TranslatedCores.Frames;
    private const ulong NewFrame = TranslatedCores.Frames + 0x1000;

    private readonly bool _jit;
    private TranslatedCores _machine;

    protected TlbMaintenanceTests(bool jit)
    {
        _jit = jit;
        _machine = new TranslatedCores(2, jit);
    }

    public void Dispose()
    {
        _machine.Dispose();
        GC.SuppressFinalize(this);
    }

    // TLBI <op>, X2 of the local and the inner shareable kind.
    private static uint Tlbi(int op2, bool broadcast) => 0xD508_0002u | (8 << 12) | ((broadcast ? 3u : 7u) << 8) | ((uint)op2 << 5);

    /// <param name="op2">0 VMALLE1, 1 VAE1, 2 ASIDE1, 3 VAAE1, 5 VALE1, 7 VAALE1.</param>
    /// <param name="stale">Of A1 A2 C1 C2 G1 G2 (page and ASID, G global), those that are forgotten.</param>
    [Theory]
    [InlineData(0, 0, 0ul, "A1 A2 C1 C2 G1 G2")]
    [InlineData(1, 1, PageA, "A1")]
    [InlineData(1, 2, PageA, "A2")]
    [InlineData(1, 3, PageA, "")]
    [InlineData(1, 3, PageG, "G1 G2")]
    [InlineData(5, 1, PageC, "C1")]
    [InlineData(5, 2, PageG, "G1 G2")]
    [InlineData(3, 3, PageA, "A1 A2")]
    [InlineData(7, 3, PageG, "G1 G2")]
    [InlineData(2, 1, 0ul, "A1 C1 G1")]
    [InlineData(2, 2, 0ul, "A2 C2 G2")]
    [InlineData(2, 3, 0ul, "")]
    public void Tlbi_forgets_what_it_names(int op2, ulong asid, ulong va, string stale)
    {
        foreach (ulong tcr in new[] { TranslatedCores.DefaultTcr, TranslatedCores.DefaultTcr & ~(1ul << 22) })
        {
            foreach (bool broadcast in new[] { false, true })
            {
                _machine.Dispose();
                _machine = new TranslatedCores(2, _jit, tcr);
                Assert.Equal(stale, StaleAfter(_machine.Cores[0], _machine.Cores[0], op2, broadcast, (asid << 48) | (va >> 12)));
                if (broadcast)
                {
                    _machine.Dispose();
                    _machine = new TranslatedCores(2, _jit, tcr);
                    Assert.Equal(stale, StaleAfter(_machine.Cores[1], _machine.Cores[0], op2, broadcast, (asid << 48) | (va >> 12)));
                }
            }
        }
    }

    // Caches all, changes the tables, and has another core, or the same, execute TLBI.
    private string StaleAfter(VcpuCore core, VcpuCore from, int op2, bool broadcast, ulong operand)
    {
        *_machine.Host(OldFrame) = Old;
        *_machine.Host(NewFrame) = New;
        ulong[] roots = [_machine.Root, _machine.NewTable()];
        (string Name, ulong Va, ulong Attributes)[] pages =
        [
            ("A", PageA, TranslatedCores.Normal | TranslatedCores.NonGlobal),
            ("C", PageC, TranslatedCores.Normal | TranslatedCores.NonGlobal),
            ("G", PageG, TranslatedCores.Normal),
        ];

        void All(Action<int, string, ulong, ulong> action)
        {
            for (int i = 1; i >= 0; i--)
            {
                _machine.UseTables(core, roots[i], (ulong)i + 1);
                foreach ((string name, ulong va, ulong attributes) in pages)
                {
                    action(i, $"{name}{i + 1}", va, attributes);
                }
            }
        }

        All((i, _, va, attributes) => _machine.Map(roots[i], va, OldFrame, attributes));
        All((_, _, va, _) => Assert.Equal(Old, _machine.Load(core, va)));
        All((i, _, va, attributes) => _machine.Map(roots[i], va, NewFrame, attributes));
        _machine.UseTables(from, roots[0], 1);
        from.State->X[2] = operand;
        Assert.True(_machine.Execute(from, Tlbi(op2, broadcast)));
        var stale = new List<string>();
        All((_, name, va, _) =>
        {
            if (_machine.Load(core, va) == New)
            {
                stale.Add(name);
            }
        });
        stale.Sort(StringComparer.Ordinal);
        return string.Join(' ', stale);
    }

    [Fact]
    public void Asid_of_eight_bits_ignores_the_upper_ones()
    {
        _machine.Dispose();
        _machine = new TranslatedCores(1, _jit, TranslatedCores.DefaultTcr & ~(1ul << 36));
        VcpuCore core = _machine.Cores[0];
        *_machine.Host(NewFrame) = New;
        _machine.UseTables(core, _machine.Root, 0x0105);
        _machine.Map(_machine.Root, PageA, OldFrame);
        Assert.Equal(0ul, _machine.Load(core, PageA));
        _machine.Map(_machine.Root, PageA, NewFrame);
        core.State->X[2] = (0x0205ul << 48) | (PageA >> 12);
        _machine.Execute(core, Tlbi(1, broadcast: false));
        Assert.Equal(New, _machine.Load(core, PageA));
    }

    [Theory]
    [InlineData(0ul, 0ul)]
    [InlineData(0x5A00_0000_0000_0000, 0ul)]
    [InlineData(0ul, 0x5A00_0000_0000_0000)]
    public void Address_inside_a_block_forgets_every_piece_of_that_block_only(ulong tagOfAccess, ulong tagOfOther)
    {
        const ulong Block = 0x0040_0000;
        const ulong OtherBlock = 0x0060_0000;
        _machine.Dispose();

        // TCR_EL1.TBI0: the top byte of an access is a tag; that of TLBI is the ASID.
        _machine = new TranslatedCores(1, _jit, TranslatedCores.DefaultTcr | (1ul << 37));
        VcpuCore core = _machine.Cores[0];
        const ulong First = TranslatedCores.Frames;
        const ulong Second = TranslatedCores.Frames + 0x20_0000;
        const ulong Attributes = TranslatedCores.Normal | TranslatedCores.NonGlobal;
        ulong[] offsets = [0, 0x1000, 0xF_F000, 0x1F_F000];
        foreach (ulong offset in offsets)
        {
            *_machine.Host(First + offset) = Old;
            *_machine.Host(Second + offset) = New;
        }

        _machine.Map(_machine.Root, Block, First, Attributes, level: 2);
        _machine.Map(_machine.Root, OtherBlock, First, Attributes, level: 2);
        Assert.Equal(Old, _machine.Load(core, OtherBlock | tagOfOther));
        foreach (ulong offset in offsets)
        {
            Assert.Equal(Old, _machine.Load(core, tagOfAccess | (Block + offset)));
        }

        _machine.Map(_machine.Root, Block, Second, Attributes, level: 2);
        _machine.Map(_machine.Root, OtherBlock, Second, Attributes, level: 2);
        core.State->X[2] = (1ul << 48) | ((Block + 0x7_3000) >> 12);
        _machine.Execute(core, Tlbi(1, broadcast: false));
        Assert.Equal(Old, _machine.Load(core, OtherBlock | tagOfOther));
        foreach (ulong offset in offsets)
        {
            Assert.Equal(New, _machine.Load(core, tagOfAccess | (Block + offset)));
        }
    }

    [Fact]
    public void Code_page_that_was_mapped_anew_is_fetched_anew()
    {
        VcpuCore core = _machine.Cores[0];

        // MOV X1, #1 or #2; B .
        *_machine.Host(OldFrame) = 0x1400_0000_D280_0021;
        *_machine.Host(NewFrame) = 0x1400_0000_D280_0041;
        void Fetch(ulong expected)
        {
            core.State->Pc = PageA;
            core.Run(1);
            Assert.True(core.State->Pc == PageA + 4,
                $"ESR 0x{core.State->EsrEl1:x} FAR 0x{core.State->FarEl1:x} ELR 0x{core.State->ElrEl1:x}");
            Assert.Equal(expected, core.State->X[1]);
        }

        _machine.Map(_machine.Root, PageA, OldFrame);
        Fetch(1);
        _machine.Map(_machine.Root, PageA, NewFrame);
        core.State->X[2] = (1ul << 48) | (PageA >> 12);
        _machine.Execute(core, Tlbi(5, broadcast: false));
        Fetch(2);
    }

    [Fact]
    public void Context_that_is_left_and_forgotten_many_times_comes_back_clean()
    {
        VcpuCore core = _machine.Cores[0];
        *_machine.Host(OldFrame) = Old;
        *_machine.Host(NewFrame) = New;
        ulong[] roots = [.. Enumerable.Range(0, 20).Select(_ => _machine.NewTable())];
        for (int round = 0; round < 4; round++)
        {
            ulong frame = (round & 1) == 0 ? OldFrame : NewFrame;
            for (int i = 0; i < roots.Length; i++)
            {
                _machine.UseTables(core, roots[i], (ulong)i + 1);
                _machine.Map(roots[i], PageA, frame);
                core.State->X[2] = ((ulong)i + 1) << 48;
                _machine.Execute(core, Tlbi(2, broadcast: false));
                Assert.Equal((round & 1) == 0 ? Old : New, _machine.Load(core, PageA));
            }
        }
    }
}

/// <summary>In the interpreter.</summary>
public sealed class TlbMaintenanceInterpretedTests() : TlbMaintenanceTests(jit: false);

/// <summary>In translated code.</summary>
public sealed class TlbMaintenanceTranslatedTests() : TlbMaintenanceTests(jit: true);
