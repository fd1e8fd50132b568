using System.CommandLine;
using Serilog;
using Vmm.Emulation;
using Vmm.Emulation.Net.User;
using Vmm.Host.Commands;
using Vmm.Host.Demo;
using Vmm.Host.Guest;
using Vmm.Host.Options;
using Vmm.Management.Text;

// An exception that no code expects ends the program with one line; with --log all of it is in the log. Exceptions of other threads come
// here.
AppDomain.CurrentDomain.UnhandledException += (_, unexpected) => Environment.Exit(Unexpected((Exception)unexpected.ExceptionObject));

// A process that has a user network for a VM (docs/network.md).
if (args is [SlirpProcess.Name, ..])
{
    return SlirpProcess.Run(args[1..]);
}

// All threads but those of vCPUs work for a moment at a time. Where vCPUs keep all cores busy, the others run as soon as they wake.
HostThread.AskForSlices(200_000);
try
{
    return await Run(args).ConfigureAwait(false);
}
catch (Exception e)
{
    return Unexpected(e);
}

static int Unexpected(Exception e)
{
    Log.Error(e, "Unexpected");
    Log.CloseAndFlush();
    bool output = e is IOException or UnauthorizedAccessException;
    Console.Error.WriteLine(Complaint.Line(output
        ? $"cannot write what there is to say: {SystemError.Describe(e)}"
        : $"internal error: {e.GetType().Name}: {SystemError.Describe(e)} (--log error,FILE writes down where)"));
    return output ? ExitCode.BadInput : ExitCode.InternalError;
}

static async Task<int> Run(string[] args)
{
    // `vmm run` and `vmm -…` take options of QEMU's kind, which are in a table. System.CommandLine parses all other commands.
    if (args is [RunCommand.Name, ..])
    {
        return await RunCommand.Run(args[1..]).ConfigureAwait(false);
    }

    if (CommandLine.IsRun(args) && args is not ["--help"])
    {
        return await RunCommand.Run(args).ConfigureAwait(false);
    }

    ParseResult parsed = Commands().Parse(args);
    if (parsed.Errors.Count == 0)
    {
        var configuration = new InvocationConfiguration { EnableDefaultExceptionHandler = false };

        // System.CommandLine ends the program so long after SIGINT or SIGTERM. A node ends by itself, when its part in the cluster is over.
        configuration.ProcessTerminationTimeout = parsed.CommandResult.Command.Name switch
        {
            DemoCommand.Name => DemoCommand.EndsWithin,
            NodeCommand.Name => null,
            _ => configuration.ProcessTerminationTimeout,
        };
        return await parsed.InvokeAsync(configuration).ConfigureAwait(false);
    }

    // The message is one line, without the page of help, in which it would be overlooked. The word that is wrong says more than the word
    // that is missing.
    var error = parsed.UnmatchedTokens.Count > 0 ? parsed.Errors[^1] : parsed.Errors[0];
    return await Complaint.Write($"{error.Message} (see vmm --help)").ConfigureAwait(false);
}

// A method of its own: what runs a VM loads nothing of the others.
static RootCommand Commands()
{
    var root = new RootCommand(
        "Vmm: an AArch64 virtual machine monitor that plugs and unplugs vCPUs of a running guest; vmm -help lists the options of run")
    {
        new Command(RunCommand.Name, RunCommand.Description), RemoteCommand.Create(), DemoCommand.Create(), AcpiCommand.Create(),
        GuestFetch.Create(), SnapshotCommand.Create(), NodeCommand.Create(), FleetCommand.Create(),
    };
    root.Add(CompletionCommand.Create(root));
    return root;
}
