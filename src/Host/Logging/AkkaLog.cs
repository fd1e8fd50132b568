using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;
using Serilog;
using Serilog.Events;

namespace Vmm.Host.Logging;

/// <summary>Akka's log events to Serilog's <see cref="Log.Logger"/>.</summary>
public sealed class AkkaLog : ReceiveActor, IRequiresMessageQueue<ILoggerMessageQueueSemantics>
{
    public AkkaLog()
    {
        Receive<Error>(e => Write(LogEventLevel.Error, e));
        Receive<Warning>(e => Write(LogEventLevel.Warning, e));
        Receive<Info>(e => Write(LogEventLevel.Information, e));
        Receive<Debug>(e => Write(LogEventLevel.Debug, e));
        Receive<InitializeLogger>(_ => Sender.Tell(new LoggerInitialized()));
    }

    /// <summary>Makes an actor system log here, at the level of <see cref="Log.Logger"/>.</summary>
    public static Config Configuration
    {
        get
        {
            string level = Log.IsEnabled(LogEventLevel.Debug) ? "DEBUG"
                : Log.IsEnabled(LogEventLevel.Information) ? "INFO"
                : Log.IsEnabled(LogEventLevel.Warning) ? "WARNING"
                : "ERROR";
            return ConfigurationFactory.ParseString(
                $"akka {{ loglevel = {level}, loggers = [\"{NameOf(typeof(AkkaLog))}\"], stdout-logger-class = \"{NameOf(typeof(Silence))}\" }}");
        }
    }

    private static string NameOf(Type type) => $"{type.FullName}, {type.Assembly.GetName().Name}";

    private static void Write(LogEventLevel level, Akka.Event.LogEvent e) =>
        Log.Logger.Write(level, e.Cause, "{Source}: {Text}", e.LogSource, e.Message?.ToString());
}

/// <summary>What Akka logs with before its loggers start and after they stop: stdout is the guest's.</summary>
public sealed class Silence : MinimalLogger
{
    protected override void Log(object message)
    {
    }
}
