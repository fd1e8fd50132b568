using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>A defect of ours under a guest access: what the run loop makes of it.</summary>
public sealed unsafe class ThrowingDeviceTests
{
    private const ulong Device = 0x0900_0000;

    // nop; ldr x0, [x1]; wfi.
    private static readonly uint[] s_program = [0xD503_201F, 0xF940_0020, 0xD503_207F];

    [Theory]
    [InlineData(false, "guest PC 0x0000000040000000 or behind it: d503201f HINT")]
    [InlineData(true, "guest PC 0x0000000040000004: f9400020 LDR (unsigned offset) 64")]
    public void Exception_says_where_the_guest_was_and_holds_nobody_up(bool jit, string place)
    {
        using var bare = new BareCore(jit: jit);
        bare.Core.Bus.Map(new Broken(), new GuestPhysicalAddress(Device), 0x1000);
        bare.Write(BareCore.Code, s_program);
        bare.State->X[1] = Device;
        var fault = Assert.Throws<VcpuExecutionException>(() => bare.Core.Run(100));
        Assert.Equal($"NotImplementedException: the device is broken\n{place}", fault.Message);
        Assert.False(bare.Core.InTranslatedCode);
        Assert.False(bare.Core.HasOpenTlbRequests);

        // And goes on, as after a reset.
        bare.State->X[1] = BareCore.Data;
        bare.State->Pc = BareCore.Code;
        Assert.Equal(VcpuExit.WaitForInterrupt, bare.Core.Run(100));
    }

    private sealed class Broken : IMmioDevice
    {
        public string Name => "broken";

        public ulong Read(ulong offset, int size) => throw new NotImplementedException("the device is broken");

        public void Write(ulong offset, int size, ulong value)
        {
        }
    }
}
