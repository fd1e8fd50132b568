using Akka.Configuration;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;

namespace Vmm.Actors.Tests;

/// <summary>Akka's test kit on an actor system as a VM has it, with limits against hangs only.</summary>
public abstract class PatientTestKit() : TestKit(ConfigurationFactory.ParseString(Patience.Akka).WithFallback(VmConfiguration.Load()))
{
    /// <summary>Ends the actors, which Akka's own leaves for later: what they use may be removed after this.</summary>
    protected override void AfterAll() => Shutdown(Patience.Limit, verifySystemShutdown: true);

    /// <summary>Waits until a condition holds. Akka's own asks ten times in all, which would be once a minute.</summary>
    protected static void AwaitCondition(Func<bool> condition, TimeSpan? max = null) =>
        Patience.Until(condition, "the condition holds", max);
}
