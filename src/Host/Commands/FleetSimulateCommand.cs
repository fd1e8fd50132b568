using System.CommandLine;
using System.Globalization;
using Vmm.Fleet.Scaling;
using Vmm.Fleet.Scaling.Simulation;

namespace Vmm.Host.Commands;

/// <summary><c>vmm fleet simulate</c>: what a scaling policy does with a recorded load.</summary>
public static class FleetSimulateCommand
{
    public static Command Create()
    {
        Option<T> Of<T>(string name, string description, T value) =>
            new(name) { Description = description, DefaultValueFactory = _ => value };

        var policy = new ScalingOptions(4);
        var trace = new Argument<FileInfo>("trace") { Description = "lines of seconds,busy, as bench/load-trace records them" };
        Option<int> initial = Of("--initial", "CPUs at the start, which can never leave", 1);
        Option<int> quota = Of("--quota", "the most CPUs by the owner's quota", int.MaxValue);
        Option<double> refuse = Of("--refuse", "how likely the guest is to refuse an unplug, 0 to 1", 0.0);
        var plot = new Option<string?>("--plot") { Description = "draw load, CPUs and decisions into this SVG file" };
        var simulate = new Command("simulate", "Run a scaling policy over a recorded load")
        {
            trace, initial, quota, refuse, plot,
        };
        policy.AddTo(simulate);
        simulate.SetAction(async parsed =>
        {
            FileInfo file = parsed.GetValue(trace)!;
            try
            {
                using StreamReader reader = file.OpenText();
                SimulationResult result = ScalingSimulation.Run(new SimulationOptions
                {
                    Policy = policy.Parse(parsed)!.ToPolicy(),
                    Trace = LoadTrace.Read(file.Name, reader),
                    Guest = new GuestModel { UnplugRefused = parsed.GetValue(refuse) },
                    InitialCpus = parsed.GetValue(initial),
                    Allowance = parsed.GetValue(quota),
                });
                foreach (SimulationPoint point in result.Points.Where(p => p.Decision.Action != ScalingAction.Hold))
                {
                    System.Console.WriteLine(
                        string.Create(CultureInfo.InvariantCulture, $"{point.Seconds,7:0.0} s  {point.Decision.InWords()}"));
                }

                System.Console.WriteLine(string.Join('\n', result.InWords()));
                if (parsed.GetValue(plot) is { } picture)
                {
                    await File.WriteAllTextAsync(picture, ScalingPicture.Svg(file.Name, result)).ConfigureAwait(false);
                }

                return ExitCode.Success;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or OverflowException)
            {
                return await Complaint.Write(e.Message).ConfigureAwait(false);
            }
            catch (ArgumentException e)
            {
                // Without the name of the parameter, which .NET puts behind the message.
                return await Complaint.Write(e.Message.Split(" (Parameter")[0]).ConfigureAwait(false);
            }
        });
        return simulate;
    }
}
