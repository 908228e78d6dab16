namespace Hearth.Programs.Hearth.Doctor;

internal enum Verdict
{
    Ok,

    /// <summary>Something that many do without.</summary>
    Warn,

    /// <summary>Pods will not run.</summary>
    Fail,
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Name">A word for machines.</param>
/// <param name="Verdict">How it is.</param>
/// <param name="Message">What was found.</param>
/// <param name="Fix">What to do; null where nothing is to be done.</param>
internal sealed record Finding(string Name, Verdict Verdict, string Message, string? Fix = null)
{
    public static Finding Ok(string name, string message) => new(name, Verdict.Ok, message);

    public static Finding Warn(string name, string message, string fix) => new(name, Verdict.Warn, message, fix);

    public static Finding Fail(string name, string message, string fix) => new(name, Verdict.Fail, message, fix);
}
