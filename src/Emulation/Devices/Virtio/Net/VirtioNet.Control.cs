using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.Net.VirtioNetSpec;

namespace Vmm.Emulation.Devices.Virtio.Net;

/// <content>The commands of the control queue (Virtual I/O Device 1.2, section 5.1.6.5).</content>
public sealed partial class VirtioNet
{
    // The longest command is one of tables of addresses; what is longer is an error, and there is no more to be read.
    private const int LongestCommand = 64 << 10;

    private readonly byte[] _command = new byte[LongestCommand];

    /// <summary>Does all commands that the driver has made available, and lets it notify of the next one.</summary>
    /// <returns>Whether there was one: the driver is to be interrupted.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool ServeControl()
    {
        bool any = false;
        int queue = ControlQueue;
        while (TryTake(queue, _chain) || (AllowNotifications(queue) && TryTake(queue, _chain)))
        {
            any = true;
            try
            {
                if (_chain.ReadableLength < CommandHeader || _chain.WritableLength < 1)
                {
                    Fail("virtio-net ctrl missing headers");
                    Give(queue, _chain, 0);
                    continue;
                }

                // A command that is done again does what it did before.
                byte answer = Read(out ReadOnlySpan<byte> command) && Do(command) ? Ok : Error;
                WriteAnswer(answer);
                Give(queue, _chain, 1);
            }
            catch (MissingPageException)
            {
                Untake(queue, new ReadOnlySpan<DescriptorChain>(in _chain));
                throw;
            }
        }

        return any;
    }

    private bool Read(out ReadOnlySpan<byte> command)
    {
        command = [];
        if (_chain.ReadableLength > LongestCommand)
        {
            return false;
        }

        int at = 0;
        foreach (DescriptorChain.Buffer buffer in _chain.Readable)
        {
            if (!Memory.TryRead(buffer.Address, _command.AsSpan(at, (int)buffer.Length)))
            {
                return false;
            }

            at += (int)buffer.Length;
        }

        command = _command.AsSpan(0, at);
        return true;
    }

    private void WriteAnswer(byte answer)
    {
        foreach (DescriptorChain.Buffer buffer in _chain.Writable)
        {
            if (buffer.Length > 0)
            {
                Memory.TryWrite(buffer.Address, [answer]);
                return;
            }
        }
    }

    private bool Do(ReadOnlySpan<byte> command)
    {
        (byte kind, byte number) = (command[0], command[1]);
        ReadOnlySpan<byte> data = command[CommandHeader..];
        lock (Registers)
        {
            var features = (VirtioNetFeatures)NegotiatedFeatures;
            return (kind, number) switch
            {
                (RxClass, < NetRxFilter.Modes) => data.Length == 1 && SetMode(number, data[0] != 0),
                (MacClass, MacTableSet) => _filter.SetTables(data),
                (MacClass, MacAddressSet) => data.Length == MacSize && data.TryCopyTo(_space),
                (VlanClass, VlanAdd or VlanDelete) => data.Length == 2
                    && _filter.SetVlan(BinaryPrimitives.ReadUInt16LittleEndian(data), number == VlanAdd),
                (AnnounceClass, AnnounceAcknowledge) => Acknowledge(),
                (MultiqueueClass, PairsSet) => data.Length == 2 && features.HasFlag(VirtioNetFeatures.MultipleQueues)
                    && SetPairs(BinaryPrimitives.ReadUInt16LittleEndian(data)),
                (OffloadsClass, OffloadsSet) => data.Length == 8 && features.HasFlag(VirtioNetFeatures.ControlOffloads)
                    && SetOffloads((VirtioNetFeatures)BinaryPrimitives.ReadUInt64LittleEndian(data), features),
                _ => false,
            };
        }
    }

    private bool SetMode(int mode, bool isOn)
    {
        _filter.SetMode(mode, isOn);
        return true;
    }

    private bool Acknowledge()
    {
        bool asked = (BinaryPrimitives.ReadUInt16LittleEndian(_space.AsSpan(StatusField)) & Announce) != 0;
        SetStatus(Announce, false);
        return asked;
    }

    private bool SetPairs(int pairs)
    {
        if (pairs < 1 || pairs > _config.Pairs)
        {
            return false;
        }

        _activePairs = pairs;
        return true;
    }

    private bool SetOffloads(VirtioNetFeatures offloads, VirtioNetFeatures features)
    {
        if ((offloads & ~(features & VirtioNetFeatures.GuestOffloads)) != 0)
        {
            return false;
        }

        _offloads = offloads;
        return true;
    }
}
