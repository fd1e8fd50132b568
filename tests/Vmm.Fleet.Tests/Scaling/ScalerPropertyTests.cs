using CsCheck;
using Vmm.Fleet.Scaling;
using Vmm.Fleet.Scaling.Simulation;

namespace Vmm.Fleet.Tests.Scaling;

/// <summary>What holds for each policy, load and guest.</summary>
public sealed class ScalerPropertyTests
{
    private static readonly Gen<ScalingPolicy> s_policies =
        from minimum in Gen.Int[1, 6]
        from more in Gen.Int[0, 10]
        from target in Gen.Double[0.2, 0.9]
        from spread in Gen.Double[0, 0.9]
        from step in Gen.Int[1, 8]
        from up in Gen.Double[0.5, 4]
        from down in Gen.Double[5, 600]
        from coolDown in Gen.Double[0, 120]
        select new ScalingPolicy
        {
            Minimum = minimum, Maximum = minimum + more, Target = target, Spread = target * spread, Step = step,
            UpAfter = TimeSpan.FromSeconds(up), DownAfter = TimeSpan.FromSeconds(down), CoolDown = TimeSpan.FromSeconds(coolDown),
        };

    private static readonly Gen<GuestModel> s_guests =
        from plug in Gen.Double[0, 3]
        from unplug in Gen.Double[0, 30]
        from refused in Gen.Double[0, 1]
        from plugRefused in Gen.Double[0, 0.5]
        from waits in Gen.Bool
        from seed in Gen.Int
        select new GuestModel
        {
            PlugTime = TimeSpan.FromSeconds(plug), UnplugTime = TimeSpan.FromSeconds(unplug), UnplugRefused = refused,
            PlugRefused = plugRefused, WorkWaits = waits, Seed = seed,
        };

    // Stretches of a load that is the same in the mean, with noise upon it: the load, the noise, and seconds.
    private static Gen<LoadTrace> Loads(double most) =>
        from stretches in Gen.Select(Gen.Double[0, most], Gen.Double[0, most / 2], Gen.Int[1, 300]).Array[1, 12]
        from seed in Gen.Int
        select Trace(stretches, seed);

    private static LoadTrace Trace((double Load, double Noise, int Seconds)[] stretches, int seed)
    {
        var random = new Random(seed);
        double second = 0;
        return new LoadTrace("random", [.. stretches.SelectMany(s => Enumerable.Repeat(s, s.Seconds)).Select(s =>
            (++second, Math.Max(0, s.Load + (s.Noise * ((2 * random.NextDouble()) - 1)))))]);
    }

    [Fact]
    public void CPUs_are_never_fewer_than_the_minimum_nor_more_than_maximum_and_quota() =>
        Gen.Select(s_policies, s_guests, Loads(12), Gen.Int[1, 16], Gen.Int[0, 6]).Sample((policy, guest, trace, allowance, above) =>
        {
            int most = Math.Min(policy.Maximum, allowance);
            int initial = policy.Minimum + above;
            SimulationResult result = ScalingSimulation.Run(new SimulationOptions
            {
                Policy = policy, Guest = guest, Trace = trace, Allowance = allowance, InitialCpus = initial, PossibleCpus = 20,
            });
            Assert.All(result.Points, point =>
            {
                Assert.True(point.Enabled >= policy.Minimum);
                Assert.True(point.Enabled <= Math.Max(most, initial));
                Assert.True(point.Decision.Action != ScalingAction.Plug || point.Enabled + point.Decision.Cpus.Count <= most);
                Assert.True(point.Decision.Cpus.Count <= policy.Step);
            });
        }, iter: 300);

    /// <summary>
    /// The quota changes at random, requests end at random moments and in every way, and the guest loses CPUs by itself: what is asked for
    /// is within the limits that hold then, concerns CPUs that are there to change, and nothing that was refused a moment ago.
    /// </summary>
    [Fact]
    public void Each_decision_is_right_for_the_moment_at_which_it_is_made() =>
        Gen.Select(s_policies, Gen.Int).Sample((policy, seed) =>
        {
            var random = new Random(seed);
            var scaler = new Scaler(policy);
            bool[] enabled = [.. Enumerable.Range(0, 16).Select(cpu => cpu < policy.Minimum)];
            var pending = new Dictionary<int, bool>();
            var refused = new Dictionary<int, DateTimeOffset>();
            DateTimeOffset now = DateTimeOffset.UnixEpoch;
            int allowance = 16;
            for (int i = 0; i < 2000; i++)
            {
                var over = TimeSpan.FromSeconds(0.2 + random.NextDouble());
                now += over;
                allowance = random.Next(50) == 0 ? random.Next(1, 17) : allowance;
                int count = enabled.Count(e => e);
                double load = random.Next(200) < 100 ? count * random.NextDouble() : 0;
                foreach ((int cpu, bool comes) in pending.Where(_ => random.Next(4) == 0).ToArray())
                {
                    ScalingOutcome outcome = (ScalingOutcome)random.Next(3);
                    pending.Remove(cpu);
                    enabled[cpu] = outcome == ScalingOutcome.Done ? comes : enabled[cpu];
                    refused[cpu] = outcome == ScalingOutcome.Refused ? now : refused.GetValueOrDefault(cpu);
                    scaler.Ended(cpu, outcome, now);
                }

                count = enabled.Count(e => e);
                ScalableCpu[] cpus = [.. enabled.Select((e, cpu) => new ScalableCpu(cpu, e, cpu > 0))];
                ScalingDecision decision = scaler.Observe(new LoadSample(now, over, load, cpus, allowance));
                bool comes2 = decision.Action == ScalingAction.Plug;
                Assert.Equal(decision.Action == ScalingAction.Hold, (decision.Cpus.Count == 0));
                Assert.True((decision.Cpus.Count == 0) || pending.Count == 0);
                Assert.All(decision.Cpus, cpu => Assert.True(
                    enabled[cpu] != comes2 && (comes2 || cpu > 0) && !(now - refused.GetValueOrDefault(cpu) < policy.RefusedFor)));
                Assert.True(!comes2 || count + decision.Cpus.Count <= Math.Min(policy.Maximum, allowance));
                Assert.True(decision.Action != ScalingAction.Unplug || count - decision.Cpus.Count >= policy.Minimum);
                foreach (int cpu in decision.Cpus)
                {
                    pending[cpu] = comes2;
                }
            }
        }, iter: 100);

    /// <summary>
    /// From any load below the target the load rises to any load above it: CPUs are plugged within 5 seconds, wherever the step lies
    /// between two samples, which are at most a second apart.
    /// </summary>
    [Fact]
    public void A_step_of_load_is_answered_within_5_seconds() =>
        Gen.Select(Gen.Int[1, 6], Gen.Double[0, 0.59], Gen.Double[0.65, 1], Gen.Double[0.1, 1], Gen.Int[0, 100], Gen.Double[0, 1])
            .Sample((enabled, before, after, period, quiet, phase) =>
            {
                var scaler = new Scaler(new ScalingPolicy { Minimum = enabled, Maximum = 16 });
                ScalableCpu[] cpus = [.. Enumerable.Range(0, 16).Select(cpu => new ScalableCpu(cpu, cpu < enabled, cpu > 0))];
                var over = TimeSpan.FromSeconds(period);
                DateTimeOffset now = DateTimeOffset.UnixEpoch;
                ScalingDecision Observe(double busy)
                {
                    now += over;
                    return scaler.Observe(new LoadSample(now, over, busy * enabled, cpus));
                }

                for (int i = 0; i < quiet; i++)
                {
                    Assert.Equal(ScalingAction.Hold, Observe(before).Action);
                }

                // The step is somewhere within a period.
                DateTimeOffset step = now + (over * phase);
                ScalingDecision decision = Observe((before * phase) + (after * (1 - phase)));
                while (decision.Action == ScalingAction.Hold)
                {
                    decision = Observe(after);
                    Assert.True(now - step <= TimeSpan.FromSeconds(5), $"{now - step}");
                }

                Assert.Equal(ScalingReason.LoadHigh, decision.Reason);
            }, iter: 1000);

    // The first case: rare spikes of 4 CPU-seconds, some of which need two plugs. Three changes lie in the ten minutes before two of those.
    private const string FewChangesThenASpike = "7Vi0kKQ-dPG5";

    /// <summary>
    /// Noise is a load that is anything from second to second, always in the same way: even over the whole of its width, in spikes, or
    /// at one level with waves upon it. Changes are counted in all stretches of ten minutes of two hours.
    /// </summary>
    [Fact]
    public void Ten_minutes_of_noise_have_at_most_4_changes() =>
        Gen.Select(Gen.Int[0, 2], Gen.Double[0, 8], Gen.Double[0, 8], Gen.Double[1, 120], Gen.Double[0, 1], Gen.Int)
            .Sample((kind, level, width, wave, spikes, seed) =>
            {
                var random = new Random(seed);
                double Load(int second) => kind switch
                {
                    0 => level + (width * random.NextDouble()),
                    1 => random.NextDouble() < spikes ? level + width : level,
                    _ => level + (width * (0.5 + (0.4 * Math.Sin(second * 2 * Math.PI / wave)) + (0.1 * random.NextDouble()))),
                };
                var trace = new LoadTrace("noise", [.. Enumerable.Range(1, 7200).Select(s => ((double)s, Load(s)))]);
                SimulationResult result = ScalingSimulation.Run(new SimulationOptions
                {
                    Policy = new ScalingPolicy { Maximum = 8 }, Trace = trace, Guest = new GuestModel { WorkWaits = random.Next(2) == 0 },
                });
                Assert.True(result.MostChanges <= 4, string.Join('\n', result.Points
                    .Where(p => p.Decision.Action != ScalingAction.Hold).Select(p => $"{p.Seconds} s: {p.Decision.InWords()}")));
            }, iter: 100, seed: FewChangesThenASpike);
}
