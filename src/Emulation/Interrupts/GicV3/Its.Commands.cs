using System.Buffers.Binary;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>
/// The commands (IHI 0069, 5.3). A command with an ID that there is not, or about something that is not mapped, does nothing; one whose
/// table is not in RAM stalls the queue until GITS_CWRITER is written again.
/// </content>
public sealed partial class Its
{
    // An entry of the device table: valid, the bits of an EventID less one, and the address of the ITT in units of 256 bytes.
    private const ulong EntryValid = 1;
    private const int DeviceSizeShift = 1;
    private const int DeviceSizeMask = 0x1F;
    private const int DeviceAddressShift = 8;
    private const ulong DeviceAddress = 0x000F_FFFF_FFFF_FF00;

    // An entry of an ITT: valid, the LPI, and the collection. An entry of the collection table: valid, and the number of the CPU.
    private const int IntIdShift = 16;
    private const int CollectionShift = 32;
    private const int CpuShift = 16;

    private enum Outcome
    {
        Done,
        Stalls,
    }

    // A command, as 64-bit words.
    private readonly ref struct Command(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> _bytes = bytes;

        public byte Number => (byte)Word(0);

        public uint Device => (uint)(Word(0) >> 32);

        public uint Event => (uint)Word(1);

        public uint IntId => (uint)(Word(1) >> 32);

        public int Size => (int)Word(1) & DeviceSizeMask;

        public bool IsValid => (Word(2) & Valid) != 0;

        public ulong Address => Word(2) & DeviceAddress;

        public uint Collection => (ushort)Word(2);

        /// <summary>RDbase: the number of a CPU.</summary>
        public ulong Cpu => (Word(2) >> 16) & 0x7_FFFF_FFFF;

        public ulong SecondCpu => (Word(3) >> 16) & 0x7_FFFF_FFFF;

        private ulong Word(int index) => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[(index * sizeof(ulong))..]);
    }

    // Carries out the commands from GITS_CREADR to GITS_CWRITER.
    private void RunQueueLocked()
    {
        uint size = (uint)(((_queue & SizeMask) + 1) * QueuePage);
        if (!IsEnabledLocked || (_queue & Valid) == 0 || _write >= size)
        {
            return;
        }

        Span<byte> bytes = stackalloc byte[CommandSize];
        _read &= QueueOffset;
        while (_read != _write)
        {
            if (!_memory.TryRead((_queue & QueueAddress) + _read, bytes) || Run(new Command(bytes)) == Outcome.Stalls)
            {
                _read |= Stalled;
                return;
            }

            _read = (_read + CommandSize) % size;
        }
    }

    private Outcome Run(Command command) => command.Number switch
    {
        MAPD => MapDevice(command),
        MAPC => MapCollection(command),
        MAPTI => MapEvent(command, command.IntId),
        MAPI => MapEvent(command, command.Event),
        MOVI => MoveEvent(command),
        DISCARD or INT or CLEAR or INV => OnEvent(command),
        INVALL => InvalidateCollection(command),
        MOVALL => MoveAll(command),

        // SYNC waits for what is done already; and there are no virtual LPIs.
        _ => Outcome.Done,
    };

    private Outcome MapDevice(Command command)
    {
        if (!_devices.HasRoom(command.Device) || (command.IsValid && command.Size >= EventBits))
        {
            return Outcome.Done;
        }

        ulong entry = command.IsValid ? EntryValid | ((ulong)command.Size << DeviceSizeShift) | (command.Address << DeviceAddressShift) : 0;
        if (!_devices.TryWrite(command.Device, entry))
        {
            return Outcome.Stalls;
        }

        _translations.Forget(command.Device);
        return Outcome.Done;
    }

    private Outcome MapCollection(Command command)
    {
        if (!_collections.HasRoom(command.Collection) || (command.IsValid && command.Cpu >= (ulong)_gic.CpuInterfaces.Length))
        {
            return Outcome.Done;
        }

        if (!_collections.TryWrite(command.Collection, command.IsValid ? EntryValid | (command.Cpu << CpuShift) : 0))
        {
            return Outcome.Stalls;
        }

        _translations.Forget(device: null);
        return Outcome.Done;
    }

    private Outcome MapEvent(Command command, uint intId)
    {
        if (intId is < FirstLpi or >= EndOfLpis || !_collections.HasRoom(command.Collection))
        {
            return Outcome.Done;
        }

        Outcome outcome = FindEvent(command.Device, command.Event, out ulong at);
        if (at == 0)
        {
            return outcome;
        }

        if (!ItsTable.TryWriteEntry(_memory, at, EventEntry(intId, command.Collection)))
        {
            return Outcome.Stalls;
        }

        // The first message then reads no table: it may come when a page of one has not arrived.
        _translations.Forget(command.Device, command.Event);
        FindLocked(command.Device, command.Event);
        return Outcome.Done;
    }

    private Outcome MoveEvent(Command command)
    {
        Outcome outcome = FindEvent(command.Device, command.Event, out ulong at);
        if (at == 0 || !_collections.HasRoom(command.Collection))
        {
            return outcome;
        }

        if (ItsTable.ReadEntry(_memory, at) is not { } entry)
        {
            return Outcome.Stalls;
        }

        if ((entry & EntryValid) == 0 || !TryReadCpu((ushort)(entry >> CollectionShift), out int from) || from < 0)
        {
            return Outcome.Done;
        }

        if (!TryReadCpu(command.Collection, out int to))
        {
            return Outcome.Stalls;
        }

        if (to < 0)
        {
            return Outcome.Done;
        }

        // The table is the guest's: it can have written anything there.
        ushort intId = (ushort)(entry >> IntIdShift);
        if (intId < FirstLpi)
        {
            return Outcome.Done;
        }

        if (!ItsTable.TryWriteEntry(_memory, at, EventEntry(intId, command.Collection)))
        {
            return Outcome.Stalls;
        }

        _translations.Add(command.Device, command.Event, new ItsTranslation(intId, (ushort)to));
        _gic.MoveLpi(from, to, intId);
        return Outcome.Done;
    }

    // The commands about an event that is mapped, and its LPI.
    private Outcome OnEvent(Command command)
    {
        Outcome outcome = FindEvent(command.Device, command.Event, out ulong at);
        if (at == 0 || FindLocked(command.Device, command.Event) is not { } found)
        {
            return outcome;
        }

        switch (command.Number)
        {
            case INV:
                _gic.InvalidateLpi(found.Cpu, found.IntId, _memory);
                break;
            case DISCARD:
                if (!ItsTable.TryWriteEntry(_memory, at, 0))
                {
                    return Outcome.Stalls;
                }

                _translations.Forget(command.Device, command.Event);
                _gic.SetLpi(found.Cpu, found.IntId, pending: false);
                break;
            default:
                _gic.SetLpi(found.Cpu, found.IntId, pending: command.Number == INT);
                break;
        }

        return Outcome.Done;
    }

    private Outcome InvalidateCollection(Command command)
    {
        if (_collections.HasRoom(command.Collection) && TryReadCpu(command.Collection, out int cpu) && cpu >= 0)
        {
            _gic.InvalidateLpis(cpu, _memory);
        }

        return Outcome.Done;
    }

    private Outcome MoveAll(Command command)
    {
        ulong cpus = (ulong)_gic.CpuInterfaces.Length;
        if (command.Cpu < cpus && command.SecondCpu < cpus && command.Cpu != command.SecondCpu)
        {
            _gic.MoveLpis((int)command.Cpu, (int)command.SecondCpu);
        }

        return Outcome.Done;
    }

    private static ulong EventEntry(uint intId, uint collection) =>
        EntryValid | ((ulong)intId << IntIdShift) | ((ulong)collection << CollectionShift);

    // The translation of an event; null where it is not mapped, or a table is not in RAM.
    private ItsTranslation? FindLocked(uint device, uint evt)
    {
        if (_translations.TryFind(device, evt, out ItsTranslation known))
        {
            return known;
        }

        FindEvent(device, evt, out ulong at);
        if (at == 0 || ItsTable.ReadEntry(_memory, at) is not { } entry || (entry & EntryValid) == 0)
        {
            return null;
        }

        // The guest could have written to the tables: nothing in them is trusted.
        ushort intId = (ushort)(entry >> IntIdShift);
        if (intId < FirstLpi || !TryReadCpu((ushort)(entry >> CollectionShift), out int cpu) || cpu < 0)
        {
            return null;
        }

        var found = new ItsTranslation(intId, (ushort)cpu);
        _translations.Add(device, evt, found);
        return found;
    }

    // The address of the entry of an event in the ITT of its device; 0 where there is none.
    private Outcome FindEvent(uint device, uint evt, out ulong at)
    {
        at = 0;
        if (!_devices.HasRoom(device))
        {
            return Outcome.Done;
        }

        if (_devices.Read(device) is not { } entry)
        {
            return Outcome.Stalls;
        }

        int bits = (int)((entry >> DeviceSizeShift) & DeviceSizeMask) + 1;
        if ((entry & EntryValid) != 0 && bits <= EventBits && evt < 1u << bits)
        {
            at = ((entry >> DeviceAddressShift) & DeviceAddress) + (evt * (ulong)EntrySize);
        }

        return Outcome.Done;
    }

    // The CPU of a collection; -1 where it is not mapped. False where its table is not in RAM.
    private bool TryReadCpu(uint collection, out int cpu)
    {
        cpu = -1;
        if (!_collections.HasRoom(collection))
        {
            return true;
        }

        if (_collections.Read(collection) is not { } entry)
        {
            return false;
        }

        int number = (int)(entry >> CpuShift);
        cpu = (entry & EntryValid) != 0 && (uint)number < (uint)_gic.CpuInterfaces.Length ? number : -1;
        return true;
    }
}
