using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio;

/// <content>
/// What is saved: what the driver has negotiated and set up, and how far the device is in each queue. The backend takes nothing meanwhile.
/// Chains that it has are its own to save, beside this unit, and to <see cref="Adopt"/> after it is loaded.
/// </content>
public abstract partial class VirtioDevice : IStateUnit
{
    string IStateUnit.Id => Name;

    int IStateUnit.SchemaVersion => SchemaVersion;

    /// <summary>The version of what <see cref="SaveRegisters"/> writes.</summary>
    protected virtual int SchemaVersion => 1;

    /// <summary>Why the device can neither be saved nor moved now; null if it can. Any thread.</summary>
    public virtual string? MoveBlocker => null;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("offered", OfferedFeatures);
            writer.Write("features", _driverFeatures);
            writer.Write("status", (byte)_status);
            writer.Write("generation", _generation);
            writer.Write<ushort>("sizes", [.. _queues.Select(q => (ushort)q.Layout.Size)]);
            writer.Write<ulong>("descriptors", [.. _queues.Select(q => q.Layout.Descriptors)]);
            writer.Write<ulong>("driver", [.. _queues.Select(q => q.Layout.Driver)]);
            writer.Write<ulong>("device", [.. _queues.Select(q => q.Layout.Device)]);
            writer.Write<byte>("enabled", [.. _queues.Select(q => (byte)(q.IsEnabled ? 1 : 0))]);
            writer.Write<ushort>("available", [.. _queues.Select(q => q.Position.Available)]);
            writer.Write<ushort>("used", [.. _queues.Select(q => q.Position.Used)]);
            SaveRegisters(writer);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            int count = _queues.Length;
            foreach (VirtioQueue queue in _queues)
            {
                queue.Forget();
            }

            reader.Require(reader.Read<ulong>("offered") == OfferedFeatures, "offered");
            _driverFeatures = reader.Read<ulong>("features");
            _status = (VirtioStatus)reader.Read<byte>("status");
            reader.Require((_status & VirtioStatus.FeaturesOk) == 0 || AcceptsFeatures(), "features");
            _generation = reader.Read<uint>("generation");
            ushort[] sizes = new ushort[count];
            ulong[] descriptors = new ulong[count];
            ulong[] driver = new ulong[count];
            ulong[] device = new ulong[count];
            byte[] enabled = new byte[count];
            ushort[] available = new ushort[count];
            ushort[] used = new ushort[count];
            reader.Read("sizes", sizes.AsSpan());
            reader.Read("descriptors", descriptors.AsSpan());
            reader.Read("driver", driver.AsSpan());
            reader.Read("device", device.AsSpan());
            reader.Read("enabled", enabled.AsSpan());
            reader.Read("available", available.AsSpan());
            reader.Read("used", used.AsSpan());
            (_resetting, Fault) = (false, null);
            LoadRegisters(reader);
            for (int i = 0; i < count; i++)
            {
                _queues[i].Layout = new VirtqueueLayout(sizes[i], descriptors[i], driver[i], device[i]);
                _queues[i].IsEnabled = enabled[i] != 0;
                if (_queues[i].IsEnabled && (_status & VirtioStatus.DriverOk) != 0)
                {
                    Open(i, new VirtqueuePosition(available[i], used[i]));
                }
            }
        }

        Notified.Ring();
    }

    /// <summary>Saves registers of the type, under <see cref="Registers"/>.</summary>
    protected virtual void SaveRegisters(StateWriter writer)
    {
    }

    /// <summary>Loads registers of the type, under <see cref="Registers"/>.</summary>
    protected virtual void LoadRegisters(StateReader reader)
    {
    }
}
