using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Tests.Scaling;

/// <summary>Decisions, one by one: a VM of eight CPUs, of which the first cannot leave.</summary>
public sealed class ScalerTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);

    private readonly HashSet<int> _enabled = [0];
    private DateTimeOffset _now = s_start;
    private int _allowance = int.MaxValue;

    private static ScalingPolicy Policy => new() { Maximum = 8, DownAfter = TimeSpan.FromSeconds(60), CoolDown = TimeSpan.FromSeconds(30) };

    private LoadSample Sample(double busy, double seconds)
    {
        _now += TimeSpan.FromSeconds(seconds);
        ScalableCpu[] cpus = [.. Enumerable.Range(0, 8).Select(i => new ScalableCpu(i, _enabled.Contains(i), i > 0))];
        return new LoadSample(_now, TimeSpan.FromSeconds(seconds), busy, cpus, _allowance);
    }

    // A load for a time, in samples of a second, up to the first decision that is not to hold.
    private ScalingDecision Load(Scaler scaler, double busy, int seconds)
    {
        ScalingDecision decision = scaler.Observe(Sample(busy, 1));
        for (int second = 1; second < seconds && decision.Action == ScalingAction.Hold; second++)
        {
            decision = scaler.Observe(Sample(busy, 1));
        }

        return decision;
    }

    private void Do(Scaler scaler, ScalingDecision decision)
    {
        foreach (int cpu in decision.Cpus)
        {
            bool changed = decision.Action == ScalingAction.Plug ? _enabled.Add(cpu) : _enabled.Remove(cpu);
            Assert.True(changed);
            scaler.Ended(cpu, ScalingOutcome.Done, _now);
        }
    }

    [Fact]
    public void A_load_above_the_target_plugs_as_many_as_bring_it_between_target_and_spread()
    {
        var scaler = new Scaler(Policy);
        _enabled.UnionWith([1, 2]);
        ScalingDecision decision = Load(scaler, 2.3, 5);
        Assert.Equal((ScalingAction.Plug, ScalingReason.LoadHigh), (decision.Action, decision.Reason));
        Assert.Equal([3, 4], decision.Cpus);
        Assert.Equal("plug cpu3, cpu4: 3 CPUs are enabled and 2.30 busy; the load asks for more", decision.InWords());
        Assert.True(_now - s_start <= TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void CPUs_that_are_all_busy_become_twice_as_many()
    {
        var scaler = new Scaler(Policy);
        _enabled.UnionWith([1, 2]);
        Assert.Equal([3, 4, 5], Load(scaler, 3, 5).Cpus);
    }

    [Fact]
    public void A_peak_of_a_second_changes_nothing()
    {
        var scaler = new Scaler(Policy);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 0.2, 10).Reason);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 1, 1).Reason);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 0.2, 10).Reason);
    }

    [Fact]
    public void A_low_load_unplugs_the_last_CPUs_after_its_time_and_leaves_the_boot_CPU()
    {
        var scaler = new Scaler(Policy);
        _enabled.UnionWith([1, 2, 3]);
        ScalingDecision decision = Load(scaler, 0.1, 600);
        Assert.Equal((ScalingAction.Unplug, ScalingReason.LoadLow), (decision.Action, decision.Reason));
        Assert.Equal([3, 2, 1], decision.Cpus);
        Assert.InRange(_now - s_start, Policy.DownAfter, Policy.DownAfter + TimeSpan.FromSeconds(2));
    }

    /// <summary>With one CPU fewer the load would be under the target, but not by the spread.</summary>
    [Fact]
    public void A_load_within_the_spread_changes_nothing()
    {
        var scaler = new Scaler(Policy);
        _enabled.UnionWith([1, 2]);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 0.9, 1200).Reason);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 1.7, 1200).Reason);
    }

    [Fact]
    public void An_unplug_waits_for_the_cool_down_of_a_plug()
    {
        ScalingPolicy policy = Policy with { Maximum = 4, DownAfter = TimeSpan.FromSeconds(5), CoolDown = TimeSpan.FromSeconds(60) };
        var scaler = new Scaler(policy);
        Do(scaler, Load(scaler, 1, 5));
        DateTimeOffset plugged = _now;
        Assert.Equal(ScalingReason.CoolingDown, Load(scaler, 0, 30).Reason);
        Assert.Equal(ScalingAction.Unplug, Load(scaler, 0, 60).Action);
        Assert.InRange(_now - plugged, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(61));
    }

    /// <summary>Three doublings lead from one CPU to eight: with the unplug and the plug before it those would be five changes.</summary>
    [Fact]
    public void An_unplug_waits_while_it_and_the_plugs_that_may_follow_are_too_many_changes()
    {
        var scaler = new Scaler(Policy);
        Do(scaler, Load(scaler, 1, 5));
        DateTimeOffset plugged = _now;
        Assert.Equal(ScalingReason.CoolingDown, Load(scaler, 0, 590).Reason);
        Assert.Equal([1], Load(scaler, 0, 60).Cpus);
        Assert.InRange(_now - plugged, Scaler.ChangesOver, Scaler.ChangesOver + TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void An_unplug_leaves_as_many_as_the_plugs_that_may_follow_need()
    {
        var scaler = new Scaler(Policy with { Maximum = 4 });
        Do(scaler, Load(scaler, 1, 5));
        Do(scaler, Load(scaler, 2, 5));
        Assert.Equal([3, 2], Load(scaler, 0, 600).Cpus);
    }

    [Fact]
    public void A_plug_for_which_few_changes_are_left_brings_more_than_the_load_asks_for()
    {
        var scaler = new Scaler(Policy with { CoolDown = TimeSpan.Zero });
        Do(scaler, Load(scaler, 0.65, 5));
        Do(scaler, Load(scaler, 1.25, 5));
        Do(scaler, Load(scaler, 1.85, 5));
        Assert.Equal([4, 5, 6, 7], Load(scaler, 2.45, 5).Cpus);
    }

    [Fact]
    public void An_unplug_that_was_refused_is_not_asked_for_again_at_once()
    {
        var scaler = new Scaler(Policy with { RefusedFor = TimeSpan.FromMinutes(30) });
        _enabled.Add(1);
        ScalingDecision first = Load(scaler, 0, 100);
        Assert.Equal([1], first.Cpus);
        scaler.Ended(1, ScalingOutcome.Refused, _now);
        DateTimeOffset refused = _now;

        ScalingDecision second = Load(scaler, 0, 7200);
        Assert.Equal([1], second.Cpus);
        Assert.InRange(_now - refused, TimeSpan.FromMinutes(30), TimeSpan.FromMinutes(31));
        scaler.Ended(1, ScalingOutcome.Refused, _now);
        refused = _now;

        Assert.Equal(ScalingReason.Refused, scaler.Observe(Sample(0, 600)).Reason);
        Assert.Equal([1], Load(scaler, 0, 7200).Cpus);
        Assert.InRange(_now - refused, TimeSpan.FromMinutes(60), TimeSpan.FromMinutes(61));
    }

    [Fact]
    public void A_CPU_that_was_refused_is_passed_over_for_the_next_one()
    {
        var scaler = new Scaler(Policy);
        ScalingDecision first = Load(scaler, 1, 10);
        Assert.Equal([1], first.Cpus);
        scaler.Ended(1, ScalingOutcome.Refused, _now);
        Assert.Equal([2], Load(scaler, 1, 10).Cpus);
    }

    [Fact]
    public void Nothing_is_asked_for_while_a_request_is_under_way()
    {
        var scaler = new Scaler(Policy);
        ScalingDecision plug = Load(scaler, 1, 10);
        Assert.Equal(ScalingReason.Pending, Load(scaler, 1, 60).Reason);
        Do(scaler, plug);
        Assert.Equal([2, 3], Load(scaler, 2, 10).Cpus);
    }

    [Fact]
    public void A_request_whose_end_nobody_tells_of_is_forgotten()
    {
        var scaler = new Scaler(Policy);
        Load(scaler, 1, 10);
        DateTimeOffset asked = _now;
        Assert.Equal(ScalingAction.Plug, Load(scaler, 1, 1000).Action);
        Assert.InRange(_now - asked, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(6));
    }

    [Fact]
    public void The_minimum_is_plugged_whatever_the_load()
    {
        var scaler = new Scaler(Policy with { Minimum = 3 });
        ScalingDecision decision = scaler.Observe(Sample(0, 1));
        Assert.Equal(ScalingReason.BelowMinimum, decision.Reason);
        Assert.Equal([1, 2], decision.Cpus);
    }

    [Fact]
    public void The_quota_bounds_plugging_and_says_so()
    {
        var scaler = new Scaler(Policy with { Minimum = 3 });
        _allowance = 2;
        ScalingDecision decision = scaler.Observe(Sample(0, 1));
        Assert.Equal([1], decision.Cpus);
        Do(scaler, decision);
        decision = Load(scaler, 2, 30);
        Assert.Equal((ScalingAction.Hold, ScalingReason.QuotaReached), (decision.Action, decision.Reason));
    }

    [Fact]
    public void A_quota_that_was_lowered_unplugs_at_once_but_not_below_the_minimum()
    {
        var scaler = new Scaler(Policy with { Minimum = 2 });
        _enabled.UnionWith([1, 2, 3]);
        Load(scaler, 3.5, 2);
        _allowance = 1;
        ScalingDecision decision = scaler.Observe(Sample(3.5, 1));
        Assert.Equal(ScalingReason.OverQuota, decision.Reason);
        Assert.Equal([3, 2], decision.Cpus);
    }

    [Fact]
    public void A_step_bounds_each_change()
    {
        var scaler = new Scaler(Policy with { Step = 1, Minimum = 4 });
        Assert.Equal([1], scaler.Observe(Sample(1, 1)).Cpus);
    }

    [Fact]
    public void A_window_of_the_schedule_plugs_and_unplugs_by_its_limits()
    {
        var window = new ScheduleWindow("5 0 * * *", TimeSpan.FromMinutes(10), Minimum: 4);
        var scaler = new Scaler(Policy with { Schedule = [window] });
        ScalingDecision decision = Load(scaler, 0, 3600);
        Assert.Equal((s_start.AddMinutes(5), ScalingReason.BelowMinimum), (_now, decision.Reason));
        Do(scaler, decision);
        decision = Load(scaler, 0, 3600);
        Assert.Equal((s_start.AddMinutes(15), ScalingReason.LoadLow), (_now, decision.Reason));
        Assert.Equal([3, 2, 1], decision.Cpus);
    }

    [Fact]
    public void A_clock_that_was_put_back_begins_anew()
    {
        var scaler = new Scaler(Policy);
        _enabled.Add(1);
        Load(scaler, 0, 50);
        _now -= TimeSpan.FromHours(1);
        Assert.Equal(ScalingReason.Steady, Load(scaler, 0, 50).Reason);
        Assert.Equal([1], Load(scaler, 0, 50).Cpus);
    }

    [Fact]
    public void A_policy_that_is_wrong_is_refused_in_words() => Assert.StartsWith(
        "the maximum of 0 CPUs is below the minimum of 1",
        Assert.Throws<ArgumentException>(() => new Scaler(Policy with { Maximum = 0 })).Message,
        StringComparison.Ordinal);
}
