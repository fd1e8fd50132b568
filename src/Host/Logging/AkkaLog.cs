using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;
using Akka.Remote;
using Serilog;
using Serilog.Events;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Logging;

/// <summary>
/// Akka's log events to Serilog's <see cref="Log.Logger"/>. What Akka.Remote complains of is what somebody has sent to the port of
/// <c>-remote</c>, which anybody may do: it is information of one line, without a trace, whatever Akka thinks of it.
/// </summary>
public sealed class AkkaLog : UntypedActor, IRequiresMessageQueue<ILoggerMessageQueueSemantics>
{
    private static readonly string[] s_remotePaths = ["/system/transports", "/system/endpointManager", "/system/remote"];

    /// <summary>Akka's settings by which this actor gets what a logger would write.</summary>
    public static Config Configuration(ILogger logger) => ConfigurationFactory.ParseString(
        $"akka {{ loglevel = {LevelOf(logger)}, loggers = [\"{typeof(AkkaLog).FullName}, {typeof(AkkaLog).Assembly.GetName().Name}\"] }}");

    private static string LevelOf(ILogger logger) =>
        logger.IsEnabled(LogEventLevel.Debug) ? "DEBUG"
        : logger.IsEnabled(LogEventLevel.Information) ? "INFO"
        : logger.IsEnabled(LogEventLevel.Warning) ? "WARNING"
        : logger.IsEnabled(LogEventLevel.Error) ? "ERROR"
        : "OFF";

    protected override void OnReceive(object message)
    {
        switch (message)
        {
            case InitializeLogger:
                Sender.Tell(new LoggerInitialized());
                break;
            case Akka.Event.LogEvent happened when IsRemote(happened):
                WriteOfPeer(happened);
                break;
            case Akka.Event.LogEvent happened:
                Log.Write(LevelOf(happened), happened.Cause, "{Text:l}", $"{happened.Message}");
                break;
        }
    }

    // Its transport logs by its classes, its actors by their paths.
    private static bool IsRemote(Akka.Event.LogEvent happened) =>
        happened.LogClass?.Assembly == typeof(RemoteSettings).Assembly
        || happened.Cause?.GetType().Assembly == typeof(RemoteSettings).Assembly
        || Array.Exists(s_remotePaths, p => happened.LogSource.Contains(p, StringComparison.Ordinal));

    private static void WriteOfPeer(Akka.Event.LogEvent happened)
    {
        Exception? cause = happened.Cause;
        while (cause?.InnerException != null)
        {
            cause = cause.InnerException;
        }

        LogEventLevel level = LevelOf(happened) > LogEventLevel.Information ? LogEventLevel.Information : LevelOf(happened);
        Log.Write(level, "Remote: {Text:l}{Cause:l}", $"{happened.Message}", cause == null ? "" : $": {SystemError.Describe(cause)}");
    }

    private static LogEventLevel LevelOf(Akka.Event.LogEvent happened) => happened.LogLevel() switch
    {
        LogLevel.DebugLevel => LogEventLevel.Debug,
        LogLevel.InfoLevel => LogEventLevel.Information,
        LogLevel.WarningLevel => LogEventLevel.Warning,
        _ => LogEventLevel.Error,
    };
}
