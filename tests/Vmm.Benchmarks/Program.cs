using Vmm.Benchmarks;

// interp [seconds]: the interpreter's speed.
switch (args)
{
    case ["interp"]:
        return InterpreterBenchmark.Run(3);
    case ["interp", var seconds] when double.TryParse(seconds, out double s) && s > 0:
        return InterpreterBenchmark.Run(s);
    default:
        Console.Error.WriteLine("usage: Vmm.Benchmarks interp [seconds]");
        return 2;
}
