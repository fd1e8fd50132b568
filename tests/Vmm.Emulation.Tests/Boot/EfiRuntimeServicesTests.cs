using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boot.Efi;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Misbehaviour;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>The runtime services called as a kernel calls them, and compared with .NET's calendar.</summary>
public sealed unsafe class EfiRuntimeServicesTests
{
    private const ulong Services = HostileMachine.Ram + 0x1_0000;
    private const ulong Time = HostileMachine.Ram + 0x2_0000;
    private const ulong Capabilities = Time + 64;
    private const ulong InvalidParameter = (1ul << 63) | 2;
    private const ulong Unsupported = (1ul << 63) | 3;
    private const ulong Rtcdr = 0x0901_0000;
    private const ulong Rtclr = 0x0901_0008;

    // The first and last seconds, leap days and the ends of years and of months, and 2100, which has no leap day.
    private static readonly uint[] s_seconds =
    [
        0, 1, 59, 60, 3599, 3600, 86399, 86400, 5097599, 5097600, 31535999, 31536000, 68169600, 68255999,
        68256000, 946684799, 951782400, 951868799, 951868800, (1u << 31) - 1, 1u << 31,
        4102444799, 4107455999, 4107456000, 4107542399, 4107542400, 4133980799, 4133980800,
        uint.MaxValue - 1, uint.MaxValue,
    ];

    [Fact]
    public void Code_is_what_the_assembler_makes_of_the_source()
    {
        string folder = Directory.CreateTempSubdirectory("vmm-services").FullName;
        try
        {
            string linked = Path.Combine(folder, "services.o");
            string binary = Path.Combine(folder, "services.bin");
            Execute("aarch64-linux-gnu-as", "-o", linked, Path.Combine(AppContext.BaseDirectory, "payloads", "RuntimeServices.s"));
            Execute("aarch64-linux-gnu-objcopy", "-O", "binary", linked, binary);
            Assert.Equal(File.ReadAllBytes(binary), RuntimeServicesCode.ToArray());
            Dictionary<string, ulong> symbols = Execute("aarch64-linux-gnu-nm", linked).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' '))
                .ToDictionary(f => f[2], f => ulong.Parse(f[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            Assert.Equal(
                (symbols["unsupported"], symbols["get_time"], symbols["set_time"], symbols["reset_system"]),
                (RuntimeServicesCode.Unsupported, RuntimeServicesCode.GetTime, RuntimeServicesCode.SetTime,
                    RuntimeServicesCode.ResetSystem));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void GetTime_tells_the_date_of_any_second(Accelerator accelerator)
    {
        using HostileMachine machine = Make(accelerator);
        var random = new Random(20261128);
        foreach (uint seconds in s_seconds.Concat(Enumerable.Range(0, 2000).Select(_ => (uint)random.NextInt64(1L << 32))))
        {
            new Span<byte>(machine.Host(Time), 128).Fill(0xA5);
            DateTime expected;
            ulong before;
            ulong after;
            do
            {
                Assert.True(machine.Machine.Bus.TryWrite(Rtclr, 4, seconds));
                Assert.True(machine.Machine.Bus.TryRead(Rtcdr, 4, out before));
                Assert.Equal(0ul, Call(machine, RuntimeServicesCode.GetTime, Time, Capabilities));
                Assert.True(machine.Machine.Bus.TryRead(Rtcdr, 4, out after));
            }
            while (before != seconds || after != seconds);

            expected = DateTime.UnixEpoch.AddSeconds(seconds);
            Assert.Equal(Encode(expected), new Span<byte>(machine.Host(Time), 16).ToArray());
        }

        Assert.Equal([1, 0, 0, 0, 0x80, 0xF0, 0xFA, 2, 0, 0xA5], new Span<byte>(machine.Host(Capabilities), 10).ToArray());
        Assert.Equal(0ul, Call(machine, RuntimeServicesCode.GetTime, Time, 0));
        Assert.Equal(InvalidParameter, Call(machine, RuntimeServicesCode.GetTime, 0, Capabilities));
    }

    [Fact]
    public void SetTime_sets_the_clock_to_any_second()
    {
        using HostileMachine machine = Make(Accelerator.Interpreter);
        var random = new Random(7);
        foreach (uint seconds in s_seconds.Concat(Enumerable.Range(0, 2000).Select(_ => (uint)random.NextInt64(1L << 32))))
        {
            Encode(DateTime.UnixEpoch.AddSeconds(seconds)).CopyTo(new Span<byte>(machine.Host(Time), 16));
            Assert.Equal(0ul, Call(machine, RuntimeServicesCode.SetTime, Time));
            Assert.True(machine.Machine.Bus.TryRead(Rtclr, 4, out ulong loaded));
            Assert.Equal(seconds, loaded);
        }
    }

    [Theory]
    [InlineData("1969-12-31 23:59:59")]
    [InlineData("2106-02-07 06:28:16")]
    [InlineData("2107-01-01 00:00:00")]
    [InlineData("2026-00-01 00:00:00")]
    [InlineData("2026-13-01 00:00:00")]
    [InlineData("2026-01-00 00:00:00")]
    [InlineData("2026-01-32 00:00:00")]
    [InlineData("2026-04-31 00:00:00")]
    [InlineData("2026-12-32 00:00:00")]
    [InlineData("2026-02-29 00:00:00")]
    [InlineData("2024-02-30 00:00:00")]
    [InlineData("2100-02-29 00:00:00")]
    [InlineData("2026-01-01 24:00:00")]
    [InlineData("2026-01-01 00:60:00")]
    [InlineData("2026-01-01 00:00:60")]
    [InlineData("2026-01-01 00:00:00", 1_000_000_000u)]
    [InlineData("2026-01-01 00:00:00", 0u, 1441)]
    [InlineData("2026-01-01 00:00:00", 0u, -1441)]
    [InlineData("2026-01-01 00:00:00", 0u, 0, 4)]
    public void SetTime_refuses_what_is_no_time(string time, uint nanosecond = 0, short zone = 0x7FF, byte daylight = 0)
    {
        using HostileMachine machine = Make(Accelerator.Interpreter);
        int[] fields = [.. time.Split('-', ' ', ':').Select(f => int.Parse(f, CultureInfo.InvariantCulture))];
        Encode(fields, nanosecond, zone, daylight).CopyTo(new Span<byte>(machine.Host(Time), 16));
        Assert.True(machine.Machine.Bus.TryWrite(Rtclr, 4, 12345));
        Assert.Equal(InvalidParameter, Call(machine, RuntimeServicesCode.SetTime, Time));
        Assert.True(machine.Machine.Bus.TryRead(Rtclr, 4, out ulong loaded));
        Assert.Equal(12345ul, loaded);
        Assert.Equal(InvalidParameter, Call(machine, RuntimeServicesCode.SetTime, 0));
    }

    [Fact]
    public void SetTime_takes_zones_and_daylight_saving()
    {
        using HostileMachine machine = Make(Accelerator.Interpreter);
        foreach (short zone in (short[])[-1440, 0, 60, 1440, 0x7FF])
        {
            Encode([2024, 2, 29, 1, 2, 3], 999_999_999, zone, 3).CopyTo(new Span<byte>(machine.Host(Time), 16));
            Assert.Equal(0ul, Call(machine, RuntimeServicesCode.SetTime, Time));
        }
    }

    [Theory]
    [InlineData(0, VcpuExit.SystemReset)]
    [InlineData(1, VcpuExit.SystemReset)]
    [InlineData(2, VcpuExit.SystemOff)]
    [InlineData(3, VcpuExit.SystemReset)]
    public void ResetSystem_resets_or_powers_off(ulong type, VcpuExit expected)
    {
        using HostileMachine machine = Make(Accelerator.Interpreter);
        Prepare(machine, RuntimeServicesCode.ResetSystem, type, 0);
        Assert.Equal(expected, machine.Core.Run(1000));
    }

    [Fact]
    public void Other_services_are_unsupported()
    {
        using HostileMachine machine = Make(Accelerator.Interpreter);
        Assert.Equal(Unsupported, Call(machine, RuntimeServicesCode.Unsupported, Time));
    }

    private static HostileMachine Make(Accelerator accelerator)
    {
        var machine = new HostileMachine(accelerator: accelerator);
        RuntimeServicesCode.ToArray().CopyTo(new Span<byte>(machine.Host(Services), 4096));
        machine.Write(HostileMachine.Code, HostileMachine.Stay);
        return machine;
    }

    private static void Prepare(HostileMachine machine, ulong procedure, ulong first, ulong second)
    {
        machine.Place(machine.Core, Services + procedure);
        for (int i = 0; i < 31; i++)
        {
            machine.State->X[i] = 0xDEAD_0000ul + (ulong)i;
        }

        machine.State->X[0] = first;
        machine.State->X[1] = second;
        machine.State->X[30] = HostileMachine.Code;
    }

    // Calls a procedure and looks that it changed no register that it must keep.
    private static ulong Call(HostileMachine machine, ulong procedure, ulong first, ulong second = 0)
    {
        Prepare(machine, procedure, first, second);
        machine.Core.Run(500);
        Assert.Equal(HostileMachine.Code, machine.State->Pc);
        for (int i = 12; i < 30; i++)
        {
            Assert.Equal(0xDEAD_0000ul + (ulong)i, machine.State->X[i]);
        }

        return machine.State->X[0];
    }

    private static byte[] Encode(DateTime time) =>
        Encode([time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second], 0, 0x7FF, 0);

    // EFI_TIME.
    private static byte[] Encode(int[] fields, uint nanosecond, short zone, byte daylight)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)fields[0]);
        for (int i = 1; i < 6; i++)
        {
            bytes[1 + i] = (byte)fields[i];
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), nanosecond);
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(12), zone);
        bytes[14] = daylight;
        return bytes;
    }

    private static string Execute(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
