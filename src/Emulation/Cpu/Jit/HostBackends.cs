using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Chooses the back end by the host's architecture. Nothing else outside their folders knows which there are.</summary>
internal static unsafe class HostBackends
{
    /// <summary>
    /// Whether this host can run translated code: it has what its back end needs, and memory that may be both written and executed, at one
    /// address or at two.
    /// </summary>
    public static bool IsSupported { get; } = HasBackend() && CanExecute();

    /// <summary>Makes the back end of this host, which must be supported.</summary>
    /// <param name="start">Where it writes its thunks.</param>
    /// <param name="lockstep">What stores overwrite is logged.</param>
    /// <param name="model">The model of the CPUs.</param>
    public static IHostBackend Create(byte* start, bool lockstep, CpuModel model) => new X64Backend(start, lockstep, model);

    private static bool HasBackend() => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => X64Backend.IsSupported,
        _ => false,
    };

    private static bool CanExecute()
    {
        using ExecutableMemory? page = ExecutableMemory.TryReserve(4096, dual: false);
        return page != null;
    }
}
