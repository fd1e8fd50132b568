using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>A named CPU model: what <c>-cpu</c> chooses. Its ID registers promise exactly its <see cref="Features"/>.</summary>
public sealed record CpuModel(string Name, Feature Features);
