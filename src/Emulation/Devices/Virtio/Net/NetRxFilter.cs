using System.Buffers.Binary;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio.Net;

/// <summary>
/// Which frames the driver wants (Virtual I/O Device 1.2, section 5.1.6.5), as QEMU decides it. At power-on it wants all. Its owner locks.
/// </summary>
internal sealed class NetRxFilter
{
    /// <summary>Addresses in the table; with more of a kind all of the kind are wanted (MAC_TABLE_ENTRIES of QEMU).</summary>
    public const int MostAddresses = 64;

    private const int Vlans = 4096;
    private const int VlanTag = 0x8100;

    private readonly byte[] _vlans = new byte[Vlans / 8];
    private readonly byte[] _modes = new byte[Modes];
    private ulong[] _unicast = [];
    private ulong[] _multicast = [];

    /// <summary>Modes, in the order of their commands (5.1.6.5.1).</summary>
    public const int Modes = 6;
    public const int Promiscuous = 0;
    public const int AllMulticast = 1;
    public const int AllUnicast = 2;
    public const int NoMulticast = 3;
    public const int NoUnicast = 4;
    public const int NoBroadcast = 5;

    public bool UnicastOverflow { get; private set; }

    public bool MulticastOverflow { get; private set; }

    /// <summary>The addresses, the first byte the highest of 48 bits.</summary>
    public IReadOnlyList<ulong> Unicast => _unicast;

    public IReadOnlyList<ulong> Multicast => _multicast;

    /// <summary>The VLANs that are wanted.</summary>
    public IEnumerable<int> VlanNumbers => Enumerable.Range(0, Vlans).Where(v => (_vlans[v / 8] & (1 << (v % 8))) != 0);

    public bool Mode(int mode) => _modes[mode] != 0;

    public void SetMode(int mode, bool isOn) => _modes[mode] = (byte)(isOn ? 1 : 0);

    /// <summary>The fields of <see cref="NetRxModes"/>.</summary>
    /// <param name="hasVlans">Whether the driver has a filter of VLANs.</param>
    public int[] ModeFields(bool hasVlans) =>
    [
        _modes[Promiscuous], UnicastOverflow ? 1 : 0, MulticastOverflow ? 1 : 0, 1 - _modes[NoBroadcast],
        Mode(NoUnicast) ? 0 : Mode(AllUnicast) ? 2 : 1, Mode(NoMulticast) ? 0 : Mode(AllMulticast) ? 2 : 1, hasVlans ? 1 : 2,
    ];

    /// <summary>An address as 48 bits.</summary>
    public static ulong AddressOf(ReadOnlySpan<byte> bytes) =>
        ((ulong)BinaryPrimitives.ReadUInt32BigEndian(bytes) << 16) | BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);

    /// <summary>All frames are wanted.</summary>
    /// <param name="vlans">Of all VLANs, too: the driver has no filter for them.</param>
    public void Reset(bool vlans)
    {
        Array.Clear(_modes);
        SetMode(Promiscuous, true);
        (_unicast, _multicast, UnicastOverflow, MulticastOverflow) = ([], [], false, false);
        SetAllVlans(vlans);
    }

    public void SetAllVlans(bool wanted) => Array.Fill(_vlans, (byte)(wanted ? 0xFF : 0));

    /// <returns>False for a number that there is not.</returns>
    public bool SetVlan(int number, bool wanted)
    {
        if (number >= Vlans)
        {
            return false;
        }

        byte bit = (byte)(1 << (number % 8));
        _vlans[number / 8] = (byte)(wanted ? _vlans[number / 8] | bit : _vlans[number / 8] & ~bit);
        return true;
    }

    /// <summary>Takes the two tables of addresses; false where they are not as long as they say.</summary>
    public bool SetTables(ReadOnlySpan<byte> data)
    {
        if (!TryRead(ref data, MostAddresses, out ulong[] unicast, out bool unicastOverflow)
            || !TryRead(ref data, MostAddresses - unicast.Length, out ulong[] multicast, out bool multicastOverflow) || !data.IsEmpty)
        {
            return false;
        }

        (_unicast, UnicastOverflow, _multicast, MulticastOverflow) = (unicast, unicastOverflow, multicast, multicastOverflow);
        return true;
    }

    /// <summary>Whether the driver wants a frame.</summary>
    /// <param name="own">The address of the device.</param>
    public bool Wants(ReadOnlySpan<byte> frame, ulong own)
    {
        if (Mode(Promiscuous))
        {
            return true;
        }

        if (BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == VlanTag && frame.Length >= 16)
        {
            int vlan = BinaryPrimitives.ReadUInt16BigEndian(frame[14..]) & 0xFFF;
            if ((_vlans[vlan / 8] & (1 << (vlan % 8))) == 0)
            {
                return false;
            }
        }

        const ulong Broadcast = 0xFFFF_FFFF_FFFF;
        ulong address = AddressOf(frame);
        return (frame[0] & 1) == 0
            ? !Mode(NoUnicast) && (Mode(AllUnicast) || UnicastOverflow || address == own || Array.IndexOf(_unicast, address) >= 0)
            : address == Broadcast ? !Mode(NoBroadcast)
            : !Mode(NoMulticast) && (Mode(AllMulticast) || MulticastOverflow || Array.IndexOf(_multicast, address) >= 0);
    }

    public void Save(StateWriter writer)
    {
        writer.Write<byte>("modes", _modes);
        writer.Write<byte>("vlans", _vlans);
        writer.Write<ulong>("unicast", _unicast);
        writer.Write<ulong>("multicast", _multicast);
        writer.Write<byte>("overflow", [(byte)(UnicastOverflow ? 1 : 0), (byte)(MulticastOverflow ? 1 : 0)]);
    }

    public void Load(StateReader reader)
    {
        reader.Read("modes", _modes.AsSpan());
        reader.Read("vlans", _vlans.AsSpan());
        _unicast = reader.ReadArray<ulong>("unicast", MostAddresses);
        _multicast = reader.ReadArray<ulong>("multicast", MostAddresses);
        Span<byte> overflow = stackalloc byte[2];
        reader.Read("overflow", overflow);
        (UnicastOverflow, MulticastOverflow) = (overflow[0] != 0, overflow[1] != 0);
    }

    // A number of addresses and these. More than there is room for are none, and all of their kind are wanted.
    private static bool TryRead(ref ReadOnlySpan<byte> data, int most, out ulong[] addresses, out bool overflow)
    {
        (addresses, overflow) = ([], false);
        if (data.Length < sizeof(uint))
        {
            return false;
        }

        uint count = BinaryPrimitives.ReadUInt32LittleEndian(data);
        data = data[sizeof(uint)..];
        if (count > (uint)data.Length / VirtioNetSpec.MacSize)
        {
            return false;
        }

        overflow = count > most;
        addresses = new ulong[overflow ? 0 : count];
        for (int i = 0; i < addresses.Length; i++)
        {
            addresses[i] = AddressOf(data[(i * VirtioNetSpec.MacSize)..]);
        }

        data = data[((int)count * VirtioNetSpec.MacSize)..];
        return true;
    }
}
