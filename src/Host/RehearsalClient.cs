using System.IO.Pipelines;
using System.Text;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Qmp;

namespace Vmm.Host;

/// <summary>A client of a QMP server, both in this process.</summary>
internal sealed class RehearsalClient : IDisposable
{
    private readonly Pipe _requests = new();
    private readonly StreamReader _answers;

    /// <param name="stop">Ends the server.</param>
    public RehearsalClient(MonitorCommands commands, VmSession session, CancellationToken stop)
    {
        var answers = new Pipe();
        _answers = new StreamReader(answers.Reader.AsStream());
        var server = new QmpServer(QmpCommands.Create(commands, (line, cpu) => HmpMonitor.ExecuteAlone(commands, line, cpu)));
        session.Published += server.Publish;
        _ = server.RunAsync(new StdioDevice("rehearsal", _requests.Reader.AsStream(), answers.Writer.AsStream()), pretty: false, stop);
    }

    /// <summary>Leaves the mode in which a server takes no command.</summary>
    public Task Negotiate() => Execute("""{"execute":"qmp_capabilities"}""");

    /// <summary>Executes a command.</summary>
    /// <returns>The answer, a line of JSON; null when the server has ended.</returns>
    public async Task<string?> Execute(string command)
    {
        await _requests.Writer.WriteAsync(Encoding.ASCII.GetBytes(command)).ConfigureAwait(false);
        string? line;
        do
        {
            line = await _answers.ReadLineAsync().ConfigureAwait(false);
        }
        while (line?.StartsWith("{\"return\"", StringComparison.Ordinal) == false);

        return line;
    }

    public void Dispose()
    {
        _requests.Writer.Complete();
        _answers.Dispose();
    }
}
