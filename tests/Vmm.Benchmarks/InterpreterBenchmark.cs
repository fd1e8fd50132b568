using System.Diagnostics;
using Vmm.Emulation;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Benchmarks;

/// <summary>Guest instructions per second of the interpreter on a gcc-compiled integer loop, with the MMU on and off.</summary>
internal static class InterpreterBenchmark
{
    private const ulong LoadAddress = 0x4000_0000;
    private const long SliceInstructions = 1_000_000;

    public static int Run(double seconds)
    {
        byte[] image = Compile();
        foreach (bool mmu in new[] { true, false })
        {
            Console.WriteLine($"interpreter, integer loop, MMU {(mmu ? "on " : "off")}: {Measure(image, mmu, seconds):F0} MIPS");
        }

        return 0;
    }

    private static double Measure(byte[] image, bool mmu, double seconds)
    {
        using var memory = new GuestMemory(new GuestPhysicalAddress(LoadAddress), 4 << 20);
        image.CopyTo(memory.Span(memory.Start, image.Length));
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(memory);
        CpuModel model = CpuModel.Find("max")!;
        using var core = new VcpuCore(new CpuIndex(0), model, bus, new CodeCache(model));
        core.Reset(LoadAddress, mmu ? 1ul : 0ul);
        core.Enable();

        // Until the runtime has compiled the handlers for good.
        RunFor(core, Math.Max(1.5, seconds / 2));
        long before = core.InstructionCount;
        TimeSpan elapsed = RunFor(core, seconds);
        ulong pc = PcOf(core);
        if (pc - LoadAddress >= (ulong)image.Length)
        {
            throw new InvalidOperationException($"the benchmark guest strayed to 0x{pc:x}");
        }

        return (core.InstructionCount - before) / elapsed.TotalSeconds / 1e6;
    }

    private static unsafe ulong PcOf(VcpuCore core) => core.State->Pc;

    private static TimeSpan RunFor(VcpuCore core, double seconds)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < seconds)
        {
            VcpuExit exit = core.Run(SliceInstructions);
            if (exit != VcpuExit.BudgetSpent)
            {
                throw new InvalidOperationException($"the benchmark guest left with {exit}");
            }
        }

        return clock.Elapsed;
    }

    // With the cross compiler of the test suite, at the load address.
    private static byte[] Compile()
    {
        string directory = Directory.CreateTempSubdirectory("vmm-bench-").FullName;
        try
        {
            string source = Path.Combine(AppContext.BaseDirectory, "IntegerLoop.c");
            string elf = Path.Combine(directory, "loop.elf");
            string binary = Path.Combine(directory, "loop.bin");
            Execute(
                "aarch64-linux-gnu-gcc", "-O2", "-ffreestanding", "-nostdlib", "-static", "-mgeneral-regs-only", "-fno-stack-protector",
                "-mno-outline-atomics", "-Wl,-Ttext=0x40000000", "-Wl,--build-id=none", "-fno-toplevel-reorder",
                "-o", elf, source);
            Execute("aarch64-linux-gnu-objcopy", "-O", "binary", elf, binary);
            return File.ReadAllBytes(binary);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Execute(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} failed with {process.ExitCode}");
        }
    }
}
