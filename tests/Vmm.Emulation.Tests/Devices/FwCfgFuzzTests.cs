using System.Buffers.Binary;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>
/// Hostile DMA: descriptors and targets at the edges of RAM, in flash, at devices and beyond the address space, of any length and control
/// word, between accesses of the registers. Every byte of memory is compared with a model that moves one byte at a time.
/// </summary>
public sealed class FwCfgFuzzTests(ITestOutputHelper output)
{
    private const ulong Ram = 0x4000_0000;
    private const int RamSize = 256 << 10;
    private const ulong Flash = 0;
    private const ulong Device = 0x0900_0000;
    private const int Steps = 200;

    private static readonly Dictionary<ushort, byte[]> s_items = new()
    {
        [FwCfgKey.CpuCount] = [1, 0],
        [FwCfgKey.CommandLineData] = Bytes(300, 1),
        [FwCfgKey.KernelData] = Bytes(70_000, 2),
        [FwCfgKey.InitrdData] = [],
    };

    [Fact]
    public void Fuzz_fw_cfg_moves_exactly_the_bytes_that_the_protocol_says()
    {
        var run = new FuzzRun(40);
        long transfers = 0;
        foreach (int program in run.Programs())
        {
            transfers += Run(new Random(run.SeedOf(program)), run.Name(program));
        }

        output.WriteLine(run.Figure("fw_cfg", $"{transfers} transfers"));
    }

    private static long Run(Random random, string name)
    {
        using var ram = new GuestMemory(new GuestPhysicalAddress(Ram), RamSize);
        using var flash = new GuestMemory(new GuestPhysicalAddress(Flash), 64 << 10, readOnly: true);
        var untouched = new Untouched();
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(ram);
        bus.AddMemory(flash);
        bus.Map(untouched, new GuestPhysicalAddress(Device), 0x1000);
        random.NextBytes(ram.Span(ram.Start, RamSize));
        var device = new FwCfg(bus);
        device.Offer(new FwCfgItems(s_items.Select(i => new KeyValuePair<ushort, ReadOnlyMemory<byte>>(i.Key, i.Value)), []));
        device.Reset();
        var model = new Model(ram.Span(ram.Start, RamSize).ToArray());
        long transfers = 0;
        for (int step = 0; step < Steps; step++)
        {
            switch (random.Next(8))
            {
                case 0:
                    ushort key = AnyKey(random);
                    device.Write(8, 2, BinaryPrimitives.ReverseEndianness(key));
                    model.Select(key);
                    break;
                case 1:
                    int size = 1 << random.Next(4);
                    Assert.True(device.Read(0, size) == model.ReadData(size), name);
                    break;
                case 2:
                    // Halves of addresses, sizes that are none, offsets that are not: only the high half has a consequence.
                    ulong offset = (ulong)random.Next(1, 0x18);
                    size = random.Next(2) == 0 ? 1 : 2;
                    if (offset != 8 && offset + (ulong)size <= 0x18)
                    {
                        device.Write(offset, size, (ulong)random.NextInt64());
                    }

                    break;
                default:
                    Transfer(random, device, ram, model);
                    transfers++;
                    break;
            }

            Assert.True(ram.Span(ram.Start, RamSize).SequenceEqual(model.Ram), $"{name}, step {step}: RAM differs");
        }

        Assert.False(flash.Span(flash.Start, (int)flash.Size).ContainsAnyExcept((byte)0), name);
        Assert.False(untouched.Touched, name);
        return transfers;
    }

    private static void Transfer(Random random, FwCfg device, GuestMemory ram, Model model)
    {
        ulong descriptor = random.Next(8) == 0 ? AnyAddress(random) : Ram + (ulong)random.Next(RamSize - 16);
        uint control = random.Next(4) == 0
            ? (uint)random.NextInt64(1L << 32)
            : ((uint)AnyKey(random) << 16) | (uint)random.Next(32);
        uint length = random.Next(5) switch
        {
            0 => (uint)random.NextInt64(1L << 32),
            1 => uint.MaxValue - (uint)random.Next(16),
            2 => (uint)random.Next(RamSize + 16),
            _ => (uint)random.Next(80),
        };
        ulong address = AnyAddress(random);
        if (descriptor - Ram <= RamSize - 16)
        {
            Span<byte> bytes = ram.Span(new GuestPhysicalAddress(descriptor), 16);
            BinaryPrimitives.WriteUInt32BigEndian(bytes, control);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], length);
            BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], address);
            bytes.CopyTo(model.Ram.AsSpan((int)(descriptor - Ram)));
            model.Transfer((int)(descriptor - Ram), control, length, address);
        }

        if (random.Next(2) == 0)
        {
            device.Write(0x10, 8, BinaryPrimitives.ReverseEndianness(descriptor));
        }
        else
        {
            device.Write(0x10, 4, BinaryPrimitives.ReverseEndianness((uint)(descriptor >> 32)));
            device.Write(0x14, 4, BinaryPrimitives.ReverseEndianness((uint)descriptor));
        }
    }

    private static ulong AnyAddress(Random random) => random.Next(8) switch
    {
        0 => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
        1 => Flash + (ulong)random.Next(64 << 10),
        2 => Device + (ulong)random.Next(0x1000),
        3 => Ram - (ulong)random.Next(32),
        4 => Ram + RamSize - (ulong)random.Next(64),
        5 => ulong.MaxValue - (ulong)random.Next(64),
        _ => Ram + (ulong)random.Next(RamSize),
    };

    private static ushort AnyKey(Random random) => random.Next(4) == 0
        ? (ushort)random.Next(1 << 16)
        : (ushort)(s_items.Keys.ElementAt(random.Next(s_items.Count)) | (random.Next(8) == 0 ? 0x4000 : 0));

    private static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    // The protocol, a byte at a time.
    private sealed class Model(byte[] ram)
    {
        private byte[] _item = "QEMU"u8.ToArray();
        private long _offset;

        public byte[] Ram { get; } = ram;

        public void Select(ushort key)
        {
            key = (ushort)(key & 0xBFFF);
            _item = key switch
            {
                0 => "QEMU"u8.ToArray(),
                1 => [3, 0, 0, 0],
                0x19 => [0, 0, 0, 0],
                _ => s_items.GetValueOrDefault(key) ?? [],
            };
            _offset = 0;
        }

        public ulong ReadData(int size)
        {
            ulong value = 0;
            for (int i = 0; i < size; i++)
            {
                value |= (ulong)Next() << (i * 8);
            }

            return value;
        }

        public void Transfer(int descriptor, uint control, uint length, ulong address)
        {
            uint answer = 0;
            if ((control & 8) != 0)
            {
                Select((ushort)(control >> 16));
            }

            if (length > 0 && (control & 2) != 0)
            {
                bool inside = address >= FwCfgFuzzTests.Ram && (UInt128)address + length <= FwCfgFuzzTests.Ram + RamSize;
                for (uint i = 0; inside && i < length; i++)
                {
                    Ram[address - FwCfgFuzzTests.Ram + i] = Next();
                }

                answer = inside ? 0u : 1;
            }
            else if (length > 0 && (control & 16) != 0)
            {
                answer = 1;
            }
            else if ((control & 4) != 0)
            {
                _offset = Math.Min(_offset + length, _item.Length);
            }

            BinaryPrimitives.WriteUInt32BigEndian(Ram.AsSpan(descriptor), answer);
        }

        private byte Next() => _offset < _item.Length ? _item[_offset++] : (byte)0;
    }

    private sealed class Untouched : IMmioDevice
    {
        public bool Touched { get; private set; }

        public string Name => "untouched";

        public ulong Read(ulong offset, int size)
        {
            Touched = true;
            return 0;
        }

        public void Write(ulong offset, int size, ulong value) => Touched = true;
    }
}
