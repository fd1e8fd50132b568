namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>Something that runs a payload on a <c>virt</c> machine with GICv3 and hears what it prints.</summary>
internal interface IMachineRunner
{
    /// <summary>Runs an arm64 <c>Image</c> until it powers off; returns the console's text.</summary>
    /// <exception cref="TimeoutException">It did not power off; the message holds the text so far.</exception>
    string Run(string image, string cpuModel, int cpus);
}
