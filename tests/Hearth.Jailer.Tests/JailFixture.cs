using System.Diagnostics;

namespace Hearth.Jailer.Tests;

/// <summary>
/// The published jailer, a folder for jails, and the probe: a static C program that says what it finds and tries what it is
/// told. Disposed, its cgroups and files are gone.
/// </summary>
public sealed class JailFixture : IDisposable
{
    public const uint Uid = 231_001;
    public const uint Gid = 231_002;

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(120);
    private static readonly string s_root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));

    private int _jails;

    public JailFixture()
    {
        Folder = Directory.CreateTempSubdirectory("hearth-jail-").FullName;
        if (ReasonToSkip is null)
        {
            Assert.True(File.Exists(Jailer), "out/bin/hearth-jailer is missing: run ./build hearth-jailer");
            using Stream source = typeof(JailFixture).Assembly.GetManifestResourceStream("probe.c")!;
            string file = Path.Combine(Folder, "probe.c");
            using (FileStream copy = File.Create(file))
            {
                source.CopyTo(copy);
            }

            Assert.Equal("", Run("cc", "-static", "-O1", "-w", "-o", Probe, file).Errors);
            Directory.CreateDirectory(Base);
        }
    }

    public static string Jailer => Path.Combine(s_root, "out/bin/hearth-jailer");

    public static string? ReasonToSkip =>
        Environment.UserName != "root" ? "makes namespaces, devices and cgroups: needs root" : null;

    public string Folder { get; }

    public string Base => Path.Combine(Folder, "jails");

    public string Probe => Path.Combine(Folder, "probe");

    public string RootOf(string id) => Path.Combine(Base, "probe", id, "root");

    public string NextId() => $"{Path.GetFileName(Folder)[^4..].Replace('.', '-').Replace('_', '-')}-{Interlocked.Increment(ref _jails)}";

    /// <summary>Runs the jailer with the probe, to the end of both.</summary>
    /// <param name="id">The jail's.</param>
    /// <param name="options">For the jailer.</param>
    /// <param name="attempts">For the probe.</param>
    public Outcome Jail(string id, string[] options, params string[] attempts)
    {
        Outcome outcome = Run(Jailer, Arguments(id, options, attempts));
        return outcome with { Facts = ParseFacts(outcome.Output) };
    }

    public string[] Arguments(string id, string[] options, params string[] attempts) =>
    [
        "--id", id, "--exec-file", Probe, "--uid", $"{Uid}", "--gid", $"{Gid}", "--chroot-base-dir", Base, .. options, "--", "try", .. attempts,
    ];

    public static ILookup<string, string> ParseFacts(string output) =>
        output.Split('\n').Where(static line => line.Contains('=')).ToLookup(static line => line[..line.IndexOf('=')], static line => line[(line.IndexOf('=') + 1)..]);

    public static Outcome Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["HEARTH_SECRET"] = "in the environment";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(s_deadline), $"{program} did not end");
        return new Outcome(process.ExitCode, output, errors.Result, ParseFacts(""));
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>How a program ended, and what it said.</summary>
public sealed record Outcome(int ExitCode, string Output, string Errors, ILookup<string, string> Facts)
{
    public string this[string fact] => Facts[fact].LastOrDefault() ?? throw new KeyNotFoundException($"no {fact} in: {Output}{Errors}");
}
