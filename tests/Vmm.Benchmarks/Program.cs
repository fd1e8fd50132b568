using Vmm.Benchmarks;

// interp [seconds]: the interpreter's speed. boot [runs]: how long a Debian kernel takes to its init.
switch (args)
{
    case ["interp"]:
        return InterpreterBenchmark.Run(3);
    case ["interp", var seconds] when double.TryParse(seconds, out double s) && s > 0:
        return InterpreterBenchmark.Run(s);
    case ["boot"]:
        return await BootBenchmark.RunAsync(3).ConfigureAwait(false);
    case ["boot", var runs] when int.TryParse(runs, out int r) && r > 0:
        return await BootBenchmark.RunAsync(r).ConfigureAwait(false);
    default:
        Console.Error.WriteLine("usage: Vmm.Benchmarks interp [seconds] | boot [runs]");
        return 2;
}
