using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Interrupts;
using GicCore = Vmm.Emulation.Interrupts.GicV3.Gic;
using GicCpu = Vmm.Emulation.Interrupts.GicV3.CpuInterface;

namespace Vmm.Emulation.Tests.Gic;

/// <summary>A GIC with its CPUs attached and set up as an operating system does: group 1 everywhere, priority 0xA0, all enabled.</summary>
internal sealed unsafe class GicHarness : IDisposable
{
    public const ulong Sgi = 0x1_0000;
    private readonly CpuState*[] _states;

    public GicHarness(int cpus, bool configure = true)
    {
        _states = new CpuState*[cpus];
        Words = new CpuInterruptWord[cpus];
        for (int i = 0; i < cpus; i++)
        {
            // SAFETY: freed in Dispose, after the last use of the words.
            _states[i] = (CpuState*)System.Runtime.InteropServices.NativeMemory.AllocZeroed((nuint)sizeof(CpuState));
            Words[i] = new CpuInterruptWord(_states[i]);
        }

        Core = new GicCore([.. VirtMap.Board.SpreadRedistributors(cpus).Select(r => r.Count)]);
        for (int i = 0; i < cpus; i++)
        {
            Core.CpuInterfaces[i].Connect(Words[i]);
        }

        if (configure)
        {
            Configure();
        }
    }

    public CpuInterruptWord[] Words { get; }

    public GicCore Core { get; }

    public GicCpu Cpu(int index) => Core.CpuInterfaces[index];

    public bool Irq(int cpu) => (Words[cpu].Inputs & CpuInterruptWord.Irq) != 0;

    public bool Fiq(int cpu) => (Words[cpu].Inputs & CpuInterruptWord.Fiq) != 0;

    public void WriteGicd(ulong offset, uint value) => Core.Distributor.Write(offset, 4, value);

    public uint ReadGicd(ulong offset) => (uint)Core.Distributor.Read(offset, 4);

    public void WriteGicr(int cpu, ulong offset, uint value) =>
        Core.RedistributorRegions[0].Write(((ulong)cpu * 0x2_0000) + offset, 4, value);

    public uint ReadGicr(int cpu, ulong offset) => (uint)Core.RedistributorRegions[0].Read(((ulong)cpu * 0x2_0000) + offset, 4);

    public void SetPriority(int id, byte priority) => Core.Distributor.Write(0x400 + (ulong)id, 1, priority);

    public void Route(int id, ulong value) => Core.Distributor.Write(0x6000 + ((ulong)id * 8), 8, value);

    public void MakeEdge(int id)
    {
        ulong offset = 0xC00 + (ulong)(id / 16 * 4);
        WriteGicd(offset, ReadGicd(offset) | (2u << (id % 16 * 2)));
    }

    public InterruptLine Spi(int id) => Core.SpiLine(new IntId(id));

    public void Configure()
    {
        WriteGicd(0, 3);
        for (uint word = 1; word < 9; word++)
        {
            WriteGicd(0x80 + (word * 4), uint.MaxValue);
            WriteGicd(0x100 + (word * 4), uint.MaxValue);
        }

        for (int id = 32; id < 288; id++)
        {
            SetPriority(id, 0xA0);
        }

        for (int cpu = 0; cpu < Words.Length; cpu++)
        {
            Cpu(cpu).SetAccessible(true);
            WriteGicr(cpu, Sgi + 0x80, uint.MaxValue);
            WriteGicr(cpu, Sgi + 0x100, uint.MaxValue);
            for (ulong offset = 0x400; offset < 0x420; offset += 4)
            {
                WriteGicr(cpu, Sgi + offset, 0xA0A0A0A0);
            }

            Cpu(cpu).PriorityMaskRegister = 0xF0;
            Cpu(cpu).Group1Enable = 1;
        }
    }

    public void Dispose()
    {
        foreach (CpuState* state in _states)
        {
            System.Runtime.InteropServices.NativeMemory.Free(state);
        }
    }
}
