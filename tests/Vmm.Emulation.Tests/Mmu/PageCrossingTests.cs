using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>
/// Accesses of which a part lies in the next page, and what of them is done when that page faults: no register changes, nor does the
/// element that crosses. An element of a pair that lies wholly before it may have been stored, as the architecture allows.
/// </summary>
public abstract unsafe class PageCrossingTests : IDisposable
{
    private const ulong First = 0x10_0000;
    private const ulong Second = First + 0x1000;
    private const ulong FirstFrame = TranslatedCores.Frames;
    private const ulong SecondFrame = TranslatedCores.Frames + 0x5000;
    private const ulong Pattern = 0x1122_3344_5566_7788;
    private const uint DataAbort = 0x25;
    private const uint TranslationLevel3 = 7;
    private const uint AccessFlagLevel3 = 11;
    private const uint PermissionLevel3 = 15;

    private readonly TranslatedCores _machine;

    private CpuState* State => _machine.Cores[0].State;

    protected PageCrossingTests(bool jit)
    {
        _machine = new TranslatedCores(1, jit);
        State->CpacrEl1 = 3 << 20;
        _machine.Cores[0].UpdateFpEnabled();
        _machine.Map(_machine.Root, First, FirstFrame);
    }

    public void Dispose()
    {
        _machine.Dispose();
        GC.SuppressFinalize(this);
    }

    // X0 base, X1 … X8 and V0 … V3 different values.
    private void Prepare(ulong address)
    {
        for (int i = 1; i <= 8; i++)
        {
            State->X[i] = 0x0101_0101_0101_0101ul * (ulong)i;
        }

        for (int i = 0; i < 8; i++)
        {
            State->V[i] = 0x1010_1010_1010_1010ul + (ulong)i;
        }

        State->X[0] = address;
    }

    [Theory]
    [InlineData("ldr x1, [x0]", 0xF940_0001, -4, false)]
    [InlineData("ldr x1, [x0], #8", 0xF840_8401, -1, false)]
    [InlineData("ldr x1, [x0, #4]!", 0xF840_4C01, -8, false)]
    [InlineData("ldrsh x1, [x0]", 0x7980_0001, -1, false)]
    [InlineData("ldp x1, x2, [x0]", 0xA940_0801, -8, false)]
    [InlineData("ldp x1, x2, [x0]", 0xA940_0801, -12, false)]
    [InlineData("ldp x1, x0, [x0]", 0xA940_0001, -8, false)]
    [InlineData("ldp x1, x2, [x0], #16", 0xA8C1_0801, -8, false)]
    [InlineData("ldr q1, [x0]", 0x3DC0_0001, -8, false)]
    [InlineData("ldp q1, q2, [x0]", 0xAD40_0801, -16, false)]
    [InlineData("ld1 {v0.16b-v1.16b}, [x0], #32", 0x4CDF_A000, -16, false)]
    [InlineData("str x1, [x0]", 0xF900_0001, -4, true)]
    [InlineData("str x1, [x0], #8", 0xF800_8401, -7, true)]
    [InlineData("strh w1, [x0]", 0x7900_0001, -1, true)]
    [InlineData("str q1, [x0]", 0x3D80_0001, -1, true)]
    [InlineData("stp x1, x2, [x0, #16]!", 0xA981_0801, -20, true)]
    public void Fault_of_the_second_page_leaves_registers_and_the_element_unwritten(string name, uint word, int offset, bool store)
    {
        foreach ((ulong attributes, uint status) in new[]
        {
            (0ul, TranslationLevel3),
            (TranslatedCores.PageDescriptor, AccessFlagLevel3),
            (TranslatedCores.PageDescriptor | TranslatedCores.Normal | TranslatedCores.ReadOnly, PermissionLevel3),
        })
        {
            if (status == PermissionLevel3 && !store)
            {
                continue;
            }

            ulong descriptor = _machine.Descriptor(_machine.Root, Second);
            *_machine.Host(descriptor) = attributes == 0 ? 0 : SecondFrame | attributes;
            *_machine.Host(FirstFrame + 0xFF0) = *_machine.Host(FirstFrame + 0xFF8) = *_machine.Host(SecondFrame) = Pattern;
            Prepare(Second + (ulong)offset);
            ulong[] before = Registers();
            Assert.False(_machine.Execute(_machine.Cores[0], word), name);
            Assert.Equal(DataAbort, (uint)(State->EsrEl1 >> 26));
            Assert.Equal(status | (store ? 1u << 6 : 0), (uint)State->EsrEl1 & 0x1FF_FFFF);
            Assert.Equal(Second, State->FarEl1);
            Assert.Equal(before, Registers());
            Assert.Equal(Pattern, *_machine.Host(SecondFrame));
            Assert.Equal(Pattern, *_machine.Host(FirstFrame + 0xFF8));
            State->Pstate &= ~Pstate.Pan;
        }
    }

    private ulong[] Registers() =>
        [.. Enumerable.Range(0, 32).Select(i => State->X[i]), .. Enumerable.Range(0, 16).Select(i => State->V[i])];

    [Fact]
    public void Both_pages_there_the_access_is_whole()
    {
        _machine.Map(_machine.Root, Second, SecondFrame);
        Prepare(Second - 3);
        State->X[1] = Pattern;
        Assert.True(_machine.Execute(_machine.Cores[0], 0xF900_0001));
        State->X[1] = 0;
        Assert.True(_machine.Execute(_machine.Cores[0], 0xF940_0001));
        Assert.Equal(Pattern, State->X[1]);
        Assert.Equal(0x66_7788ul, *_machine.Host(FirstFrame + 0xFF8) >> 40);
        Assert.Equal(0x11_2233_4455ul, *_machine.Host(SecondFrame));
    }

    /// <summary>Entries of the TLB that were never filled are zeros, which is the tag of page 0.</summary>
    [Theory]
    [InlineData(0xF940_0001)]
    [InlineData(0xF900_0001)]
    [InlineData(0xAD40_0801)]
    public void Access_that_goes_on_from_the_last_page_into_page_0_faults(uint word)
    {
        const ulong Last = ulong.MaxValue - 3;
        Prepare(Last);
        Assert.False(_machine.Execute(_machine.Cores[0], word));
        Assert.Equal(DataAbort, (uint)(State->EsrEl1 >> 26));
        Assert.Contains(State->FarEl1, new[] { Last, 0ul });
        Prepare(0);
        Assert.False(_machine.Execute(_machine.Cores[0], word));
        Assert.Equal(0ul, State->FarEl1);
    }

    /// <summary>A base register that has just used the second page, which is nowhere near the first in memory.</summary>
    [Theory]
    [InlineData(0xF940_0001, 0xF900_0001, 8)]
    [InlineData(0xB940_0001, 0xB900_0001, 4)]
    [InlineData(0x7940_0001, 0x7900_0001, 2)]
    [InlineData(0xA940_0801, 0xA900_0801, 16)]
    [InlineData(0x2940_0801, 0x2900_0801, 8)]
    [InlineData(0x3DC0_0001, 0x3D80_0001, 16)]
    [InlineData(0xAD40_0801, 0xAD00_0801, 32)]
    public void Access_that_begins_in_the_page_before_is_whole(uint load, uint store, int size)
    {
        _machine.Map(_machine.Root, Second, SecondFrame);
        for (int before = 0; before <= size; before++)
        {
            Prepare(Second);
            Assert.True(_machine.Execute(_machine.Cores[0], load));
            Assert.True(_machine.Execute(_machine.Cores[0], store));
            var first = new Span<byte>((byte*)_machine.Host(FirstFrame) + 0x1000 - before, before);
            var second = new Span<byte>((byte*)_machine.Host(SecondFrame), size - before);
            byte[] pattern = [.. Enumerable.Range(0, size).Select(i => (byte)(before + (i * 3) + 1))];
            pattern.AsSpan(0, before).CopyTo(first);
            pattern.AsSpan(before).CopyTo(second);
            State->X[0] = Second - (ulong)before;
            Assert.True(_machine.Execute(_machine.Cores[0], load));
            first.Clear();
            second.Clear();
            Assert.True(_machine.Execute(_machine.Cores[0], store));
            byte[] stored = [.. first, .. second];
            Assert.Equal(pattern, stored);
        }
    }

    [Fact]
    public void Contiguous_hint_changes_nothing()
    {
        const ulong Contiguous = 1ul << 52;
        for (ulong i = 0; i < 16; i++)
        {
            // Frames in reverse: a CPU that believed the hint would go wrong, as this would be a programming error.
            _machine.Map(_machine.Root, First + (i * 0x1000), FirstFrame + ((15 - i) * 0x1000),
                TranslatedCores.Normal | TranslatedCores.NonGlobal | Contiguous);
            *_machine.Host(FirstFrame + ((15 - i) * 0x1000)) = i;
        }

        for (ulong i = 0; i < 16; i++)
        {
            Assert.Equal(i, _machine.Load(_machine.Cores[0], First + (i * 0x1000)));
        }
    }

    [Fact]
    public void Access_flag_that_is_set_needs_no_maintenance()
    {
        ulong descriptor = _machine.Descriptor(_machine.Root, First);
        ulong old = *_machine.Host(descriptor);
        *_machine.Host(descriptor) = old & ~(1ul << 10);
        Prepare(First);
        Assert.False(_machine.Execute(_machine.Cores[0], 0xF940_0001));
        Assert.Equal(AccessFlagLevel3, (uint)State->EsrEl1 & 0x3F);

        // Hardware does not set it, and does not cache what faulted.
        Assert.Equal(old & ~(1ul << 10), *_machine.Host(descriptor));
        *_machine.Host(descriptor) = old;
        Prepare(First);
        Assert.True(_machine.Execute(_machine.Cores[0], 0xF940_0001));
    }
}

/// <summary>In the interpreter.</summary>
public sealed class PageCrossingInterpretedTests() : PageCrossingTests(jit: false);

/// <summary>In translated code.</summary>
public sealed class PageCrossingTranslatedTests() : PageCrossingTests(jit: true);
