using System.CommandLine;
using Vmm.Host.Commands;
using Vmm.Host.Demo;
using Vmm.Host.Guest;

var root = new RootCommand("Vmm: an AArch64 virtual machine monitor that plugs and unplugs vCPUs of a running guest")
{
    RunCommand.Create(), RemoteCommand.Create(), DemoCommand.Create(), AcpiCommand.Create(), GuestFetch.Create(),
};
ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count == 0)
{
    return await parsed.InvokeAsync().ConfigureAwait(false);
}

// One line each, without the page of help in which they would drown.
foreach (var error in parsed.Errors)
{
    await Console.Error.WriteLineAsync($"vmm: {error.Message} (see vmm --help)").ConfigureAwait(false);
}

return ExitCode.BadInput;
