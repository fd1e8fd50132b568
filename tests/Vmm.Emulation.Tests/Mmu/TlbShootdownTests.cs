using System.Diagnostics;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>
/// Break-before-make on one vCPU while others, each on its own thread, use the page. After TLBI …IS and DSB no vCPU uses the old
/// translation.
/// </summary>
public abstract unsafe class TlbShootdownTests : IDisposable
{
    private const ulong Page = 0x10_0000;
    private const ulong FrameA = TranslatedCores.Frames;
    private const ulong FrameB = TranslatedCores.Frames + 0x1000;
    private const ulong Epoch = TranslatedCores.Frames + 0x2000;
    private const ulong RemapperCode = TranslatedCores.Code;
    private const ulong UserCode = TranslatedCores.Code + 0x1000;
    private const int TlbiWord = 2;

    private static readonly TimeSpan Least = TimeSpan.FromSeconds(0.3);

    private readonly TranslatedCores _machine;
    private readonly List<Thread> _threads = [];
    private volatile Exception? _failure;
    private volatile bool _stop;

    // add x2, x2, #1; eret: what faulted is tried again.
    private static readonly uint[] Retry = [0x9100_0442, 0xD69F_03E0];

    protected TlbShootdownTests(bool jit) => _machine = new TranslatedCores(6, jit);

    public static TheoryData<string, uint> Operations { get; } = new()
    {
        { "vmalle1is", 0xD508_831F },
        { "vae1is", 0xD508_8322 },
        { "aside1is", 0xD508_8342 },
        { "vaae1is", 0xD508_8362 },
        { "vale1is", 0xD508_83A2 },
        { "vaale1is", 0xD508_83E2 },
    };

    public void Dispose()
    {
        _machine.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void Frame_is_not_written_once_its_mapping_is_gone(string name, uint tlbi)
    {
        // X0 descriptor, X1 its value, X2 operand of TLBI, X3 the frame by another address; X4 counts rounds, X5 writes seen too late.
        uint[] remapper =
        [
            0xF900_001F, // str xzr, [x0]
            0xD503_3B9F, // dsb ish
            0xD508_8322, // tlbi vae1is, x2
            0xD503_3B9F, // dsb ish
            0xF940_0068, // ldr x8, [x3]
            0xD280_3209, // mov x9, #400
            0xF100_0529, // 1: subs x9, x9, #1
            0x54FF_FFE1, // b.ne 1b
            0xF940_006A, // ldr x10, [x3]
            0xEB0A_011F, // cmp x8, x10
            0x9A85_04A5, // cinc x5, x5, ne
            0xF900_0001, // str x1, [x0]
            0xD503_3A9F, // dsb ishst
            0xD503_3FDF, // isb
            0xD29D_4C09, // mov x9, #60000
            0xF100_0529, // 2: subs x9, x9, #1
            0x54FF_FFE1, // b.ne 2b
            0x9100_0484, // add x4, x4, #1
            0x17FF_FFEE, // b start
        ];
        remapper[TlbiWord] = tlbi;

        // 1: add x1, x1, #1; str x1, [x0]; b 1b
        uint[] writer = [0x9100_0421, 0xF900_0001, 0x17FF_FFFE];
        CpuState* s = Prepare(remapper, writer);
        s->X[3] = TranslatedCores.Kernel + FrameA;
        Race(counter: 1);
        Assert.True(s->X[5] == 0, $"{name}: {s->X[5]} of {s->X[4]} times the frame was written late");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Page_that_moves_is_never_seen_where_it_was(bool executing)
    {
        // X0 descriptor, X1 and X6 its values in turn, X3 the epoch: odd while the page moves, its bit 1 the frame.
        uint[] remapper =
        [
            0x9100_04E7, // add x7, x7, #1
            0xF900_0067, // str x7, [x3]
            0xD503_3BBF, // dmb ish
            0xF900_001F, // str xzr, [x0]
            0xD503_3B9F, // dsb ish
            0xD508_8322, // tlbi vae1is, x2
            0xD503_3B9F, // dsb ish
            0xF900_0001, // str x1, [x0]
            0xD503_3B9F, // dsb ish
            0xD503_3FDF, // isb
            0xAA01_03E8, // mov x8, x1
            0xAA06_03E1, // mov x1, x6
            0xAA08_03E6, // mov x6, x8
            0x9100_04E7, // add x7, x7, #1
            0xF900_0067, // str x7, [x3]
            0xD29D_4C09, // mov x9, #60000
            0xF100_0529, // 2: subs x9, x9, #1
            0x54FF_FFE1, // b.ne 2b
            0x9100_0484, // add x4, x4, #1
            0x17FF_FFED, // b start
        ];
        uint[] reader =
        [
            0xC8DF_FC66, // ldar x6, [x3]
            0xD503_3FDF, // isb
            executing ? 0xD63F_0000 : 0xF940_0008, // blr x0, or ldr x8, [x0]
            0xD503_39BF, // dmb ishld
            0xF940_0067, // ldr x7, [x3]
            0xEB07_00DF, // cmp x6, x7
            0x54FF_FF41, // b.ne start
            0x3707_FF26, // tbnz w6, #0, start
            0x9100_0484, // add x4, x4, #1
            0xD341_04C9, // ubfx x9, x6, #1, #1
            0xEB09_011F, // cmp x8, x9
            0x9A85_04A5, // cinc x5, x5, ne
            0x17FF_FFF4, // b start
        ];
        if (executing)
        {
            // mov x8, #frame; ret
            *_machine.Host(FrameA) = 0xD65F_03C0_D280_0008;
            *_machine.Host(FrameB) = 0xD65F_03C0_D280_0028;
        }
        else
        {
            *_machine.Host(FrameB) = 1;
        }

        CpuState* s = Prepare(remapper, reader);
        s->X[6] = s->X[1];
        s->X[1] = (s->X[1] & ~0xFFFF_F000ul) | FrameB;
        foreach (VcpuCore core in _machine.Cores)
        {
            core.State->X[3] = TranslatedCores.Kernel + Epoch;
        }

        Race(counter: 4);
        Assert.Equal(0ul, _machine.Cores[1].State->X[5]);
        Assert.Equal(0ul, _machine.Cores[2].State->X[5]);
    }

    // CPU 0 remaps; all others have the page and the code of its users.
    private CpuState* Prepare(uint[] remapper, uint[] user)
    {
        _machine.Map(_machine.Root, Page, FrameA);
        _machine.Write(TranslatedCores.Vectors + 0x200, Retry);
        _machine.Write(RemapperCode, remapper);
        _machine.Write(UserCode, user);
        foreach (VcpuCore core in _machine.Cores)
        {
            core.State->Pc = UserCode;
            core.State->X[0] = Page;
        }

        CpuState* s = _machine.Cores[0].State;
        ulong descriptor = _machine.Descriptor(_machine.Root, Page);
        s->Pc = RemapperCode;
        s->X[0] = TranslatedCores.Kernel + descriptor;
        s->X[1] = *_machine.Host(descriptor);
        s->X[2] = (1ul << 48) | (Page >> 12);
        return s;
    }

    // CPUs 1 and 2 use the page all the time; CPU 3 is paused again and again, CPU 4 is disabled again and again, CPU 5 never runs.
    // Until there were enough rounds, and uses of the page, which the users count in a register, and faults.
    private void Race(int counter)
    {
        foreach (int i in new[] { 0, 1, 2 })
        {
            Start(() => _machine.Cores[i].Run(100_000));
        }

        VcpuCore paused = _machine.Cores[3];
        Start(() =>
        {
            paused.Run(long.MaxValue);
            Thread.Sleep(1);
        });
        Start(() =>
        {
            paused.RequestExit();
            Thread.Sleep(1);
        });
        VcpuCore replugged = _machine.Cores[4];
        Start(() =>
        {
            replugged.Run(10_000);
            replugged.Disable();
            replugged.FreeTranslations();
            Thread.Sleep(1);
            replugged.Enable();
        });
        bool Enough() => _machine.Cores[0].State->X[4] > 100
            && _machine.Cores.Skip(1).Take(2).All(c => c.State->X[counter] > 1000 && c.State->X[2] > 0);
        var watch = Stopwatch.StartNew();
        while (_failure == null && (watch.Elapsed < Least || !Enough()) && watch.Elapsed < Patience.Limit)
        {
            Thread.Sleep(10);
        }

        _stop = true;
        foreach (Thread thread in _threads)
        {
            while (!thread.Join(TimeSpan.FromMilliseconds(1)))
            {
                paused.RequestExit();
            }
        }

        Assert.Null(_failure);
        Assert.True(Enough(), string.Join("; ",
            _machine.Cores.Take(3).Select(c => $"cpu{c.Index.Value} X1 {c.State->X[1]} X2 {c.State->X[2]} X4 {c.State->X[4]}")));
    }

    private void Start(Action turn)
    {
        var thread = new Thread(() =>
        {
            try
            {
                while (!_stop)
                {
                    turn();
                }
            }
            catch (Exception e)
            {
                _failure = e;
            }
        });
        _threads.Add(thread);
        thread.Start();
    }
}

/// <summary>In the interpreter.</summary>
public sealed class TlbShootdownInterpretedTests() : TlbShootdownTests(jit: false);

/// <summary>In translated code.</summary>
public sealed class TlbShootdownTranslatedTests() : TlbShootdownTests(jit: true);
