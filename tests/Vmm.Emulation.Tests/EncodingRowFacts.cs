using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Tests;

/// <summary>What tests ask of an encoding, from the effects that its row states.</summary>
internal static class EncodingRowFacts
{
    extension(EncodingRow row)
    {
        /// <summary>Whether it loads or stores.</summary>
        public bool AccessesMemory => (row.Effects & (Effects.Load | Effects.Store)) != 0;

        /// <summary>Whether it needs EL1 or the system around it: a program in user mode cannot show what it does.</summary>
        public bool IsSystem => row.Effects == Effects.Unknown || (row.Effects & Effects.SystemState) != 0;
    }
}
