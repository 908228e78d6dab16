using System.Runtime.CompilerServices;
using System.Text;
using Hearth.Linux;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Telemetry;

/// <summary>
/// The monitor's log: one line an event, to a file, a FIFO or, until told otherwise, standard error (standard output
/// is the guest's console). Writing never blocks and never fails: what cannot be written at once is lost and counted.
/// <para>Shape: <c>2026-11-23T21:00:00.000000000 [id:thread:LEVEL:origin] message</c>; level and origin if asked for.</para>
/// <para>Thread: any.</para>
/// </summary>
public sealed class Logger : IDisposable
{
    // Guards _target and the order of lines.
    private readonly Lock _lock = new();
    private readonly string _id;
    private LogTarget _target = LogTarget.StandardError();
    private LogLevel _level = LogLevel.Info;
    private bool _showLevel;
    private bool _showOrigin;
    private string? _module;

    /// <param name="id">The microVM's id.</param>
    public Logger(string id) => _id = id;

    /// <summary>What was lost because nobody took it.</summary>
    public LoggerMetrics Metrics { get; } = new();

    /// <summary>The file or FIFO that it goes to; null while it is standard error.</summary>
    public FileDescriptor? OwnFile => _target.OwnFile;

    /// <summary>Whether a line of this level would be written: ask before a message that costs something to make.</summary>
    public bool IsEnabled(LogLevel level) => level <= _level;

    /// <exception cref="ConfigurationException">The log cannot be opened; the old one stays.</exception>
    public void Configure(LoggerConfig config)
    {
        LogTarget? next = null;
        if (config.LogPath is not null)
        {
            try
            {
                next = LogTarget.Open(config.LogPath);
            }
            catch (LinuxException e)
            {
                throw new ConfigurationException($"Logger error: Failed to open target file: {e.Message}");
            }
        }

        lock (_lock)
        {
            if (next is not null)
            {
                _target.Dispose();
                _target = next;
            }

            _level = config.Level ?? _level;
            _showLevel = config.ShowLevel ?? _showLevel;
            _showOrigin = config.ShowLogOrigin ?? _showOrigin;
            _module = config.Module ?? _module;
        }
    }

    public void Error(string message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Write(LogLevel.Error, message, file, line);

    public void Warning(string message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Write(LogLevel.Warning, message, file, line);

    public void Info(string message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Write(LogLevel.Info, message, file, line);

    public void Debug(string message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Write(LogLevel.Debug, message, file, line);

    public void Dispose()
    {
        lock (_lock)
        {
            _target.Dispose();
        }
    }

    private void Write(LogLevel level, string message, string file, int line)
    {
        if (!IsEnabled(level))
        {
            return;
        }

        string origin = Origin(file);
        if (_module is not null && !origin.Replace('/', '.').StartsWith(_module, StringComparison.Ordinal))
        {
            return;
        }

        Span<char> time = stackalloc char[WallClock.LocalLength];
        WallClock.FormatLocal(time);
        var text = new StringBuilder(160);
        text.Append(time).Append(" [").Append(_id).Append(':').Append(Thread.CurrentThread.Name ?? "main");
        if (_showLevel)
        {
            text.Append(':').Append(level == LogLevel.Warning ? "WARN" : level.ToString().ToUpperInvariant());
        }

        if (_showOrigin)
        {
            text.Append(':').Append(origin).Append(':').Append(line);
        }

        // One event, one line: what a guest or a client made us quote cannot begin another.
        text.Append("] ").Append(message.ReplaceLineEndings(" ")).Append('\n');
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (bytes.Length > LogTarget.MaxLineBytes)
        {
            Array.Resize(ref bytes, LogTarget.MaxLineBytes);
            bytes[^1] = (byte)'\n';
        }

        lock (_lock)
        {
            if (!_target.TryWrite(bytes))
            {
                Metrics.MissedLogCount.Increment();
            }
        }
    }

    /// <summary>The source file below <c>src/</c>: where the build machine kept it is nobody's business.</summary>
    private static string Origin(string file)
    {
        const string Root = "/src/";
        int start = file.LastIndexOf(Root, StringComparison.Ordinal);
        return start < 0 ? Path.GetFileName(file) : file[(start + Root.Length)..];
    }
}
