using System.Globalization;
using System.Text;
using System.Text.Json;
using Hearth.Linux;

namespace Hearth.Programs.Daemon.Telemetry;

/// <summary>
/// The log: a line for each message on the standard error, as text for people or as JSON with the message's values by name.
/// Thread: any.
/// </summary>
internal sealed class StderrLog(TextWriter output, bool json, TimeProvider time) : ILoggerProvider
{
    // Guards output.
    private readonly Lock _lock = new();

    /// <summary>The configuration's words.</summary>
    /// <exception cref="HearthException">None of them.</exception>
    public static LogLevel ParseLevel(string level) => level switch
    {
        "trace" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        _ => throw new HearthException($"{level} is no log level. There are trace, debug, info, warning, error."),
    };

    public ILogger CreateLogger(string categoryName) => new CategoryLogger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void Dispose()
    {
    }

    private static string Word(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warning",
        _ => "error",
    };

    private void Write(string line)
    {
        lock (_lock)
        {
            output.WriteLine(line);
            output.Flush();
        }
    }

    private string Text(string category, LogLevel level, string message, Exception? error)
    {
        string line = $"{Now()} {Word(level),-7} {category}: {message}";
        // One line a message: what a client sent cannot look like another.
        return (error is null ? line : $"{line}: {error}").ReplaceLineEndings(" | ");
    }

    private string Json<TState>(string category, LogLevel level, TState state, string message, Exception? error)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartObject();
            writer.WriteString("time", Now());
            writer.WriteString("level", Word(level));
            writer.WriteString("logger", category);
            writer.WriteString("message", message);
            if (error is not null)
            {
                writer.WriteString("error", error.ToString());
            }

            if (state is IReadOnlyList<KeyValuePair<string, object?>> values)
            {
                writer.WriteStartObject("values");
                foreach ((string name, object? value) in values.Where(static value => value.Key != "{OriginalFormat}"))
                {
                    writer.WriteString(name, Convert.ToString(value, CultureInfo.InvariantCulture));
                }

                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    private string Now() => time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);

    private sealed class CategoryLogger(StderrLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            string message = formatter(state, exception);
            log.Write(log.IsJson ? log.Json(category, logLevel, state, message, exception) : log.Text(category, logLevel, message, exception));
        }
    }

    private bool IsJson => json;
}
