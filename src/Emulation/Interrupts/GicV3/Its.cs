using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// The Interrupt Translation Service (IHI 0069, chapter 5): it makes an LPI of a CPU out of a message of a device. Which one, the guest
/// says by commands in a queue, and the ITS keeps it in tables in the guest's RAM. What it has read there it remembers
/// (<see cref="ItsTranslations"/>), so a message reads no RAM.
/// </summary>
/// <remarks>
/// <see cref="_lock"/> guards all state. Lock order: device core → PCI host → ITS → GIC. Commands are carried out within the write
/// that makes them visible. A page of RAM that has not arrived (<see cref="MissingPageException"/>) stops a command before it has done
/// anything, and the vCPU repeats its write; a message whose translation is in such a page waits for it (<see cref="RetryMessages"/>).
/// </remarks>
public sealed partial class Its : IMmioDevice, IMsiTarget
{
    private static readonly GicRegisterTable<Its> s_registers = new(
        new(GITS_CTLR, 1, (its, _) => its._control | Quiescent, (its, _, v) => its.WriteControlLocked(v)),
        new(GITS_IIDR, 1, (_, _) => GicSpec.Implementer),
        new(GITS_TYPER, 2, (_, i) => (uint)(ItsSpec.Type >> (i * 32))),
        new(GITS_CBASER, 2, (its, i) => (uint)(its._queue >> (i * 32)), (its, i, v) => its.WriteQueueLocked(i, v)),
        new(GITS_CWRITER, 1, (its, _) => its._write, (its, _, v) => its.WriteOffsetLocked(v)),
        new(GITS_CREADR, 1, (its, _) => its._read),
        new(
            GITS_BASER,
            4,
            (its, i) => (uint)(its.Table(i / 2).Register >> (i % 2 * 32)),
            (its, i, v) => its.WriteTableLocked(i / 2, i % 2, v)),
        new(GicSpec.Identification, GicSpec.IdentificationRegisters, (_, i) => GicSpec.Identify(i, Part)),

        // A vCPU that writes here is taken for device 0, as in QEMU.
        new(GITS_TRANSLATER, 1, (_, _) => 0, (its, _, v) => its.TranslateLocked(0, v)));

    private readonly Lock _lock = new();
    private readonly Gic _gic;
    private readonly IDmaMemory _memory;
    private readonly ItsTable _devices;
    private readonly ItsTable _collections;
    private readonly ItsTranslations _translations = new();
    private uint _control;
    private ulong _queue;
    private uint _read;
    private uint _write;

    /// <param name="gic">The GIC to whose redistributors it sends LPIs.</param>
    /// <param name="memory">The guest's RAM.</param>
    public Its(Gic gic, IDmaMemory memory)
    {
        _gic = gic;
        _memory = memory;
        _devices = new ItsTable(memory, DeviceTable, 1 << DeviceBits);
        _collections = new ItsTable(memory, CollectionTable, 1 << CollectionBits);
    }

    /// <summary>Bytes of its registers.</summary>
    public const ulong Size = ItsSpec.Size;

    public string Name => "gicv3-its";

    /// <summary>The address of its registers.</summary>
    public required GuestPhysicalAddress Address { get; init; }

    public ulong Read(ulong offset, int size)
    {
        lock (_lock)
        {
            return s_registers.Read(this, offset, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        lock (_lock)
        {
            // The registers of 16 bits alone: a device that writes no more than that.
            if (size < sizeof(uint) && offset == GITS_TRANSLATER)
            {
                TranslateLocked(0, (uint)value);
                return;
            }

            s_registers.Write(this, offset, size, value);
        }
    }

    public void Send(MsiMessage message, uint requester)
    {
        if (message.Address == (Address + GITS_TRANSLATER).Value)
        {
            lock (_lock)
            {
                TranslateLocked(requester, message.Data);
            }

            return;
        }

        message.Store(_memory);
    }

    /// <summary>Pages of RAM have arrived: messages that wait for one are translated. Any thread.</summary>
    public void RetryMessages()
    {
        lock (_lock)
        {
            foreach ((uint device, uint evt) in _translations.TakeWaiting())
            {
                TranslateLocked(device, evt);
            }
        }
    }

    public void Reset()
    {
        lock (_lock)
        {
            _control = _read = _write = 0;
            _queue = 0;
            _devices.Register = DeviceTable | Page64K;
            _collections.Register = CollectionTable | Page64K;
            _translations.Clear();
        }
    }

    private ItsTable Table(int index) => index == 0 ? _devices : _collections;

    private bool IsEnabledLocked => (_control & Enabled) != 0;

    private void WriteControlLocked(uint value)
    {
        // Tables may be given only while the ITS is off, so what it knows of them ends here.
        _translations.Clear();
        _control = value & Enabled;
        RunQueueLocked();
    }

    private void WriteQueueLocked(int word, uint value)
    {
        if (!IsEnabledLocked)
        {
            _queue = Merge(_queue, word, value) & QueueWritable;
            _read = 0;
        }
    }

    private void WriteOffsetLocked(uint value)
    {
        _write = value & QueueOffset;
        RunQueueLocked();
    }

    private void WriteTableLocked(int index, int word, uint value)
    {
        if (!IsEnabledLocked)
        {
            ItsTable table = Table(index);
            table.Register = (Merge(table.Register, word, value) & TableWritable) | (table.Register & ~TableWritable);
        }
    }

    private static ulong Merge(ulong register, int word, uint value) =>
        word == 0 ? (register & ~(ulong)uint.MaxValue) | value : (register & uint.MaxValue) | ((ulong)value << 32);

    // The LPI of a message becomes pending, if the guest has mapped it.
    private void TranslateLocked(uint device, uint evt)
    {
        if (!IsEnabledLocked)
        {
            return;
        }

        try
        {
            if (FindLocked(device, evt) is { } found)
            {
                _gic.SetLpi(found.Cpu, found.IntId, pending: true);
            }
        }
        catch (MissingPageException)
        {
            _translations.AddWaiting(device, evt);
        }
    }
}
