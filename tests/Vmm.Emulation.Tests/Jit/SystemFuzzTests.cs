using System.Diagnostics;
using System.Reflection;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Tests.InstructionOracle;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Random programs at EL0 and EL1 with the MMU on, which fault in the middle and change their own instructions and translations
/// (<see cref="SystemProgramGenerator"/>): the engines agree in every register, every byte, and every exception on the way; and in
/// lockstep, where flags nobody reads are kept too. How long: <see cref="FuzzRun"/>.
/// </summary>
public sealed class SystemFuzzTests(ITestOutputHelper output)
{
    private const uint Wfi = 0xD503_207F;
    private const long Budget = 50_000;

    [Fact]
    public unsafe void Fuzz_system_programs_end_alike_in_both_engines()
    {
        var run = new FuzzRun(programs: 600);
        byte[] vectors = Vectors();
        using var interpreter = new SystemFuzzMachine(Accelerator.Interpreter, vectors);
        using var jit = new SystemFuzzMachine(Accelerator.Jit, vectors);
        using var lockstep = new SystemFuzzMachine(Accelerator.Lockstep, vectors);
        (int ended, int runs) = (0, 0);
        long exceptions = 0;
        foreach (int program in run.Programs())
        {
            runs++;
            uint[] words = [];
            ulong start = 0;
            foreach (SystemFuzzMachine machine in (SystemFuzzMachine[])[interpreter, jit, lockstep])
            {
                var random = new CaseGenerator(run.SeedOf(program));
                bool el1 = random.Next(2) == 0;
                words = new SystemProgramGenerator(random, el1).Generate(4 + random.Next(60), Wfi);
                machine.Prepare(random, el1, words);
                start = machine.State->Pc;
            }

            string before = interpreter.List(start, words.Length);
            string alike;
            VcpuExit theirExit = interpreter.Run(Budget);
            VcpuExit ourExit = jit.Run(Budget);
            try
            {
                lockstep.Run(Budget);
                alike = "in lockstep the engines agree\n";
            }
            catch (LockstepException e)
            {
                Assert.Fail($"{run.Name(program)}: {e.Message}");
                throw;
            }

            if (theirExit != VcpuExit.WaitForInterrupt)
            {
                continue;
            }

            ended++;
            exceptions += interpreter.Exceptions;
            string difference = jit.Difference(interpreter);
            if (ourExit != theirExit || difference.Length != 0)
            {
                Assert.Fail($"{run.Name(program)}: JIT left with {ourExit}\n{difference}{alike}{before}");
            }

            difference = lockstep.Difference(interpreter);
            if (difference.Length != 0)
            {
                Assert.Fail($"{run.Name(program)}: lockstep goes another way\n{difference}{before}");
            }
        }

        output.WriteLine(run.Figure("system programs, JIT and lockstep against interpreter",
            $"{ended} end alike after {exceptions} exceptions"));
        Assert.True(ended > runs * 9 / 10);
        Assert.True(exceptions > runs);
    }

    private static byte[] Vectors()
    {
        string directory = Directory.CreateTempSubdirectory("vmm-fuzz-").FullName;
        try
        {
            string source = Path.Combine(directory, "vectors.S");
            string linked = Path.Combine(directory, "vectors.elf");
            string image = Path.Combine(directory, "vectors.bin");
            using (Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream("fuzz-vectors.S")!)
            using (FileStream file = File.Create(source))
            {
                resource.CopyTo(file);
            }

            Execute("aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,--build-id=none,-Ttext=0x40000000", "-o", linked, source);
            Execute("aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", linked, image);
            return File.ReadAllBytes(image);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Execute(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
    }
}
