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
        var usual = new ScalingPolicy { Maximum = 4 };
        Option<T> Of<T>(string name, string description, T value) =>
            new(name) { Description = description, DefaultValueFactory = _ => value };
        Option<double> Seconds(string name, string description, TimeSpan value) => Of(name, description, value.TotalSeconds);

        var trace = new Argument<FileInfo>("trace") { Description = "lines of seconds,busy, as bench/load-trace records them" };
        Option<int> minimum = Of("--minimum", "the least CPUs", usual.Minimum);
        Option<int> maximum = Of("--maximum", "the most CPUs", usual.Maximum);
        Option<double> target = Of("--target", "the utilisation of enabled CPUs that is aimed at", usual.Target);
        Option<double> spread = Of("--spread", "how far below it CPUs are unplugged", usual.Spread);
        Option<int> step = Of("--step", "the most CPUs that one decision changes", usual.Step);
        Option<double> upAfter = Seconds("--up-after", "seconds whose mean load plugs CPUs", usual.UpAfter);
        Option<double> downAfter = Seconds("--down-after", "seconds whose highest load unplugs CPUs", usual.DownAfter);
        Option<double> coolDown = Seconds("--cool-down", "least seconds between a change and an unplug", usual.CoolDown);
        Option<int> initial = Of("--initial", "CPUs at the start, which can never leave", 1);
        Option<int> quota = Of("--quota", "the most CPUs by the owner's quota", int.MaxValue);
        Option<double> refuse = Of("--refuse", "how likely the guest is to refuse an unplug, 0 to 1", 0.0);
        var plot = new Option<string?>("--plot") { Description = "draw load, CPUs and decisions into this SVG file" };
        var simulate = new Command("simulate", "Run a scaling policy over a recorded load")
        {
            trace, minimum, maximum, target, spread, step, upAfter, downAfter, coolDown, initial, quota, refuse, plot,
        };
        simulate.SetAction(async parsed =>
        {
            TimeSpan Time(Option<double> option) => TimeSpan.FromSeconds(parsed.GetValue(option));
            FileInfo file = parsed.GetValue(trace)!;
            try
            {
                using StreamReader reader = file.OpenText();
                SimulationResult result = ScalingSimulation.Run(new SimulationOptions
                {
                    Policy = new ScalingPolicy
                    {
                        Minimum = parsed.GetValue(minimum), Maximum = parsed.GetValue(maximum), Target = parsed.GetValue(target),
                        Spread = parsed.GetValue(spread), Step = parsed.GetValue(step), UpAfter = Time(upAfter),
                        DownAfter = Time(downAfter), CoolDown = Time(coolDown),
                    },
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
