using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// A GICv3 with one security state (GICD_CTLR.DS = 1), affinity routing always on, no LPIs: distributor, and redistributor and CPU
/// interface of every possible CPU (GIC architecture specification, IHI 0069).
/// <para>One lock guards all of it; it is held for a few dozen instructions and nothing is called with it but
/// <see cref="CpuInterruptWord.SetInput"/>, which takes no lock.</para>
/// </summary>
public sealed partial class Gic : IInterruptSink
{
    /// <summary>INTIDs 0 to 287: 256 SPIs, as QEMU's <c>virt</c>.</summary>
    public const int Interrupts = 288;

    private const int Words = Interrupts / 32;
    private const uint DistributorControlMask = 0x3;

    private readonly uint[] _group = new uint[Words];
    private readonly uint[] _enabled = new uint[Words];
    private readonly uint[] _latch = new uint[Words];
    private readonly uint[] _level = new uint[Words];
    private readonly uint[] _active = new uint[Words];
    private readonly uint[] _edge = new uint[Words];
    private readonly byte[] _priority = new byte[Interrupts];
    private readonly ulong[] _router = new ulong[Interrupts];
    private uint _control;

    /// <param name="redistributors">How many redistributors each region has; there is one for each possible CPU.</param>
    public Gic(params IReadOnlyList<int> redistributors)
    {
        CpuInterfaces = [.. Enumerable.Range(0, redistributors.Sum()).Select(i => new GicCpuInterface(this, new CpuIndex(i)))];
        Distributor = new DistributorFrame(this);
        int first = 0;
        RedistributorRegions = [.. redistributors.Select(count => new RedistributorRegion(this, (first += count) - count, count))];
    }

    internal Lock Lock { get; } = new();

    /// <summary>One for each possible CPU.</summary>
    public GicCpuInterface[] CpuInterfaces { get; }

    /// <summary>The 64 KiB distributor frame.</summary>
    public IMmioDevice Distributor { get; }

    /// <summary>Redistributors that follow each other.</summary>
    public IReadOnlyList<RedistributorRegion> RedistributorRegions { get; }

    /// <summary>A private peripheral interrupt of one CPU.</summary>
    public InterruptLine PpiLine(CpuIndex cpu, IntId id) => new(Traced(CpuInterfaces[cpu.Value], $"cpu{cpu.Value} ppi"), id);

    /// <summary>A shared peripheral interrupt.</summary>
    public InterruptLine SpiLine(IntId id) => new(Traced(this, "spi"), id);

    /// <summary>Where changes of the lines made from now on are traced; null for nowhere.</summary>
    public TraceLog? Trace { get; init; }

    private IInterruptSink Traced(IInterruptSink sink, string name) =>
        Trace != null && Trace.Traces(TraceCategories.Irq) ? new TracedInput(Trace, sink, name) : sink;

    /// <summary>Back to the values of a cold reset; the levels of the lines and which CPUs are accessible stay.</summary>
    public void Reset()
    {
        lock (Lock)
        {
            Array.Clear(_group);
            Array.Clear(_enabled);
            Array.Clear(_latch);
            Array.Clear(_active);
            Array.Clear(_edge);
            Array.Clear(_priority);
            Array.Clear(_router);
            _control = 0;
            foreach (GicCpuInterface cpu in CpuInterfaces)
            {
                cpu.ResetLocked();
            }
        }
    }

    void IInterruptSink.SetInput(IntId id, bool level)
    {
        lock (Lock)
        {
            int word = id.Value >> 5;
            uint bit = 1u << (id.Value & 31);
            if (level)
            {
                if ((_level[word] & bit) == 0 && (_edge[word] & bit) != 0)
                {
                    _latch[word] |= bit;
                }

                _level[word] |= bit;
            }
            else
            {
                _level[word] &= ~bit;
            }

            UpdateTargets(id.Value);
        }
    }

    /// <summary>Group enables of GICD_CTLR: bit 0 group 0, bit 1 group 1.</summary>
    internal uint ControlLocked => _control;

    /// <summary>The best SPI for a CPU: pending, enabled, not active, of an enabled group, routed there. Keeps a better candidate.</summary>
    internal void BestSpiLocked(GicCpuInterface cpu, ref int best, ref int bestPriority)
    {
        for (int word = 1; word < Words; word++)
        {
            uint candidates = PendingLocked(word) & _enabled[word] & ~_active[word];
            while (candidates != 0)
            {
                int id = (word << 5) + System.Numerics.BitOperations.TrailingZeroCount(candidates);
                candidates &= candidates - 1;
                if (_priority[id] < bestPriority && cpu.GroupEnabledLocked(IsGroup1Locked(id)) && RoutedToLocked(id, cpu))
                {
                    best = id;
                    bestPriority = _priority[id];
                }
            }
        }
    }

    internal bool IsGroup1Locked(int id) => (_group[id >> 5] & (1u << (id & 31))) != 0;

    internal void AcknowledgeSpiLocked(int id)
    {
        uint bit = 1u << (id & 31);
        _active[id >> 5] |= bit;
        _latch[id >> 5] &= ~bit;
        UpdateTargets(id);
    }

    internal void DeactivateSpiLocked(int id)
    {
        if (id < Interrupts)
        {
            _active[id >> 5] &= ~(1u << (id & 31));
            UpdateTargets(id);
        }
    }

    internal void UpdateAllLocked()
    {
        foreach (GicCpuInterface cpu in CpuInterfaces)
        {
            cpu.UpdateLocked();
        }
    }

    /// <summary>Pends an SGI on a CPU by affinity.</summary>
    internal void SendSgi(GicCpuInterface from, ulong value, bool group1)
    {
        int id = (int)(value >> 24) & 15;
        bool others = ((value >> 40) & 1) != 0;
        ulong cluster = (((value >> 16) & 0xFF) << 8) | (((value >> 32) & 0xFF) << 16) | (((value >> 48) & 0xFF) << 32);
        int range = (int)(value >> 44) & 15;
        lock (Lock)
        {
            if (others)
            {
                foreach (GicCpuInterface cpu in CpuInterfaces)
                {
                    if (cpu != from)
                    {
                        cpu.PendSgiLocked(id, group1);
                    }
                }

                return;
            }

            for (int bit = 0; bit < 16; bit++)
            {
                if (((value >> bit) & 1) != 0)
                {
                    FindCpu(cluster | (uint)((range * 16) + bit))?.PendSgiLocked(id, group1);
                }
            }
        }
    }

    private GicCpuInterface? FindCpu(ulong affinity)
    {
        // Mpidr.FromIndex backwards: Aff0 below 16, Aff1 the cluster.
        ulong index = ((affinity >> 8) * Mpidr.CpusPerCluster) + (affinity & 0xFF);
        return (affinity & 0xFF) < Mpidr.CpusPerCluster && index < (ulong)CpuInterfaces.Length ? CpuInterfaces[index] : null;
    }

    private uint PendingLocked(int word) => _latch[word] | (_level[word] & ~_edge[word]);

    private bool RoutedToLocked(int id, GicCpuInterface cpu) => TargetLocked(id) == cpu;

    // The CPU of an SPI: by affinity, or 1-of-N the first that can take it.
    private GicCpuInterface? TargetLocked(int id)
    {
        ulong router = _router[id];
        if ((router & (1ul << 31)) == 0)
        {
            GicCpuInterface? target = FindCpu(router & Mpidr.AffinityMask);
            return target is { Accessible: true } ? target : null;
        }

        bool group1 = IsGroup1Locked(id);
        foreach (GicCpuInterface cpu in CpuInterfaces)
        {
            if (cpu.Accessible && cpu.GroupEnabledLocked(group1))
            {
                return cpu;
            }
        }

        return null;
    }

    private void UpdateTargets(int id)
    {
        if ((_router[id] & (1ul << 31)) != 0)
        {
            UpdateAllLocked();
        }
        else
        {
            TargetLocked(id)?.UpdateLocked();
        }
    }

    /// <summary>PIDR4–7, PIDR0–3 and CIDR0–3, one byte in each word from the end of a frame; PIDR2 says GICv3 (IHI 0069, 12.1.1).</summary>
    internal const ulong IdentificationOffset = 0xFFD0;

    /// <summary>PIDR0: the part numbers of distributor and redistributor.</summary>
    internal const byte DistributorPart = 0x92;
    internal const byte RedistributorPart = 0x93;

    internal static uint Identification(ulong offset, byte part)
    {
        ReadOnlySpan<byte> bytes = [0x44, 0, 0, 0, part, 0xB4, 0x3B, 0, 0x0D, 0xF0, 0x05, 0xB1];
        ulong index = (offset - IdentificationOffset) >> 2;
        return index < (ulong)bytes.Length ? bytes[(int)index] : 0u;
    }

    private uint ReadRegister(ulong offset)
    {
        lock (Lock)
        {
            switch (offset)
            {
                case 0x0000:
                    return _control | 0x50; // ARE and DS are one.
                case 0x0004:
                    // ITLinesNumber, IDbits = 16 bits, A3V, No1N = 0.
                    return (Words - 1) | (15u << 19) | (1u << 24);
                case 0x0008:
                    return 0x43B;
                case >= IdentificationOffset:
                    return Identification(offset, DistributorPart);
            }

            int word = (int)(offset & 0x7F) >> 2;
            bool shared = word is > 0 and < Words;
            switch (offset & ~0x7Ful)
            {
                case 0x0080:
                    return shared ? _group[word] : 0;
                case 0x0100 or 0x0180:
                    return shared ? _enabled[word] : 0;
                case 0x0200 or 0x0280:
                    return shared ? PendingLocked(word) : 0;
                case 0x0300 or 0x0380:
                    return shared ? _active[word] : 0;
            }

            if (offset is >= 0x0420 and < 0x0400 + Interrupts)
            {
                int id = (int)(offset & ~3ul) - 0x400;
                return (uint)(_priority[id] | (_priority[id + 1] << 8) | (_priority[id + 2] << 16) | (_priority[id + 3] << 24));
            }

            if (offset is >= 0x0C08 and < 0x0C00 + (Interrupts / 4))
            {
                int id = ((int)offset - 0xC00) * 4;
                return SpreadConfiguration((ushort)(_edge[id >> 5] >> (id & 31)));
            }

            if (offset is >= 0x6100 and < 0x6000 + (Interrupts * 8))
            {
                ulong router = _router[((int)offset - 0x6000) >> 3];
                return (uint)((offset & 4) != 0 ? router >> 32 : router);
            }

            return 0;
        }
    }

    private void WriteRegister(ulong offset, uint value)
    {
        lock (Lock)
        {
            if (offset == 0)
            {
                _control = value & DistributorControlMask;
                UpdateAllLocked();
                return;
            }

            int word = (int)(offset & 0x7F) >> 2;
            if (offset is >= 0x0080 and < 0x0400)
            {
                if (word is 0 or >= Words)
                {
                    return;
                }

                switch (offset & ~0x7Ful)
                {
                    case 0x0080:
                        _group[word] = value;
                        break;
                    case 0x0100:
                        _enabled[word] |= value;
                        break;
                    case 0x0180:
                        _enabled[word] &= ~value;
                        break;
                    case 0x0200:
                        _latch[word] |= value;
                        break;
                    case 0x0280:
                        _latch[word] &= ~value;
                        break;
                    case 0x0300:
                        _active[word] |= value;
                        break;
                    case 0x0380:
                        _active[word] &= ~value;
                        break;
                }

                UpdateAllLocked();
            }
            else if (offset is >= 0x0C08 and < 0x0C00 + (Interrupts / 4))
            {
                int id = ((int)offset - 0xC00) * 4;
                uint mask = 0xFFFFu << (id & 31);
                _edge[id >> 5] = (_edge[id >> 5] & ~mask) | ((uint)GatherConfiguration(value) << (id & 31));
                UpdateAllLocked();
            }
            else if (offset is >= 0x6100 and < 0x6000 + (Interrupts * 8))
            {
                ref ulong router = ref _router[((int)offset - 0x6000) >> 3];
                router = (offset & 4) != 0 ? (router & 0xFFFF_FFFF) | ((ulong)(value & 0xFF) << 32) : (router & ~0xFFFF_FFFFul) | (value & 0x80FF_FFFF);
                UpdateAllLocked();
            }
        }
    }

    private void WritePriority(int id, byte value)
    {
        lock (Lock)
        {
            if (id is >= 32 and < Interrupts)
            {
                _priority[id] = (byte)(value & GicCpuInterface.PriorityMask);
                UpdateAllLocked();
            }
        }
    }

    /// <summary>ICFGR holds two bits for each of 16 interrupts; the upper one means edge.</summary>
    internal static uint SpreadConfiguration(ushort edge)
    {
        uint value = 0;
        for (int i = 0; i < 16; i++)
        {
            value |= (uint)((edge >> i) & 1) << ((i * 2) + 1);
        }

        return value;
    }

    internal static ushort GatherConfiguration(uint value)
    {
        int edge = 0;
        for (int i = 0; i < 16; i++)
        {
            edge |= (int)((value >> ((i * 2) + 1)) & 1) << i;
        }

        return (ushort)edge;
    }

    private sealed class DistributorFrame(Gic gic) : IMmioDevice
    {
        public string Name => "gicv3-distributor";

        public ulong Read(ulong offset, int size)
        {
            ulong value = gic.ReadRegister(offset & ~3ul);
            if (size == 8)
            {
                return value | ((ulong)gic.ReadRegister((offset & ~3ul) + 4) << 32);
            }

            return MmioAccess.Truncate(value >> (int)((offset & 3) * 8), size);
        }

        public void Write(ulong offset, int size, ulong value)
        {
            if (offset is >= 0x400 and < 0x800)
            {
                for (int i = 0; i < size; i++)
                {
                    gic.WritePriority((int)offset - 0x400 + i, (byte)(value >> (i * 8)));
                }
            }
            else if (size >= 4)
            {
                gic.WriteRegister(offset & ~3ul, (uint)value);
                if (size == 8)
                {
                    gic.WriteRegister((offset & ~3ul) + 4, (uint)(value >> 32));
                }
            }
        }
    }

    /// <summary>The windows of redistributors that follow each other.</summary>
    public sealed class RedistributorRegion : IMmioDevice
    {
        private readonly Gic _gic;
        private readonly int _first;

        internal RedistributorRegion(Gic gic, int first, int count)
        {
            _gic = gic;
            _first = first;
            Count = count;
        }

        public int Count { get; }

        public string Name => "gicv3-redistributors";

        public ulong Read(ulong offset, int size)
        {
            int index = (int)(offset / GicSpec.RedistributorStride);
            if (index >= Count)
            {
                return 0;
            }

            GicCpuInterface cpu = _gic.CpuInterfaces[_first + index];
            ulong inner = offset % GicSpec.RedistributorStride & ~3ul;
            bool last = index == Count - 1;
            ulong value = cpu.ReadRedistributor(inner, last);
            if (size == 8)
            {
                return value | ((ulong)cpu.ReadRedistributor(inner + 4, last) << 32);
            }

            return MmioAccess.Truncate(value >> (int)((offset & 3) * 8), size);
        }

        public void Write(ulong offset, int size, ulong value)
        {
            int index = (int)(offset / GicSpec.RedistributorStride);
            if (index >= Count)
            {
                return;
            }

            GicCpuInterface cpu = _gic.CpuInterfaces[_first + index];
            ulong inner = offset % GicSpec.RedistributorStride;
            if (inner is >= 0x1_0400 and < 0x1_0420)
            {
                for (int i = 0; i < size; i++)
                {
                    cpu.WritePriority((int)inner - 0x1_0400 + i, (byte)(value >> (i * 8)));
                }
            }
            else if (size >= 4)
            {
                cpu.WriteRedistributor(inner & ~3ul, (uint)value);
                if (size == 8)
                {
                    cpu.WriteRedistributor((inner & ~3ul) + 4, (uint)(value >> 32));
                }
            }
        }
    }
}
