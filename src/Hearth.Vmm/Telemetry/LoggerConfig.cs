using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Telemetry;

/// <summary>How much is logged, least first.</summary>
public enum LogLevel
{
    Off,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

/// <summary>How the log should be; null leaves what it was. Source: Firecracker swagger Logger.</summary>
public sealed record LoggerConfig
{
    /// <summary>A file or FIFO.</summary>
    public string? LogPath { get; init; }

    public LogLevel? Level { get; init; }

    public bool? ShowLevel { get; init; }

    public bool? ShowLogOrigin { get; init; }

    /// <summary>Only what comes from this part of the source, by the start of its name (<c>Hearth.Vmm.Machines</c>).</summary>
    public string? Module { get; init; }

    /// <summary>Reads a level by its name, in any case, as Firecracker does.</summary>
    /// <exception cref="ConfigurationException">There is no such level.</exception>
    public static LogLevel ParseLevel(string text) => text.ToUpperInvariant() switch
    {
        "OFF" => LogLevel.Off,
        "ERROR" => LogLevel.Error,
        "WARN" or "WARNING" => LogLevel.Warning,
        "INFO" => LogLevel.Info,
        "DEBUG" => LogLevel.Debug,
        "TRACE" => LogLevel.Trace,
        _ => throw new ConfigurationException($"Invalid value for logger level: {text}. Possible values: [Off, Error, Warning, Info, Debug, Trace]"),
    };
}
