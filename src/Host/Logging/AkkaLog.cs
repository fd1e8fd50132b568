using Akka.Event;
using Akka.Hosting;
using Serilog;
using Serilog.Events;

namespace Vmm.Host.Logging;

/// <summary>Akka's log events to Serilog's <see cref="Log.Logger"/>, through the logger factory.</summary>
public static class AkkaLog
{
    public static void Configure(LoggerConfigBuilder loggers)
    {
        loggers.LogLevel = Log.IsEnabled(LogEventLevel.Debug) ? LogLevel.DebugLevel
            : Log.IsEnabled(LogEventLevel.Information) ? LogLevel.InfoLevel
            : Log.IsEnabled(LogEventLevel.Warning) ? LogLevel.WarningLevel
            : LogLevel.ErrorLevel;
        loggers.ClearLoggers();
        loggers.AddLoggerFactory();
    }
}
