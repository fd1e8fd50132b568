using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>CPU models with SVE.</summary>
internal static class ScalableModels
{
    /// <summary>All there is, with vectors up to a length in bytes.</summary>
    public static CpuModel Longest(int length) => CpuModel.Find("max")!.WithScalable((1u << (length / 16)) - 1);
}
