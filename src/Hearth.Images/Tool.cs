using System.Diagnostics;
using Hearth.Linux;

namespace Hearth.Images;

/// <summary>
/// Runs the external tools that images are made with. Arguments are passed as they are, without a shell between.
/// </summary>
internal static class Tool
{
    private const int RememberedLines = 25;

    private static readonly TimeSpan s_graceOnInterrupt = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_graceOnCancel = TimeSpan.FromSeconds(15);

    /// <summary>The user's own settings for builds of other things, which would change this one.</summary>
    private static readonly string[] s_foreignVariables =
        ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARCH", "CROSS_COMPILE", "KBUILD_OUTPUT", "KCONFIG_CONFIG", "KCONFIG_ALLCONFIG", "KCFLAGS", "LOCALVERSION", "TAR_OPTIONS", "MKE2FS_CONFIG"];

    /// <summary>Where each tool comes from, for the error when it is missing.</summary>
    private static readonly Dictionary<string, string> s_packages = new(StringComparer.Ordinal)
    {
        ["apt-get"] = "apt",
        ["apt-cache"] = "apt",
        ["cp"] = "coreutils",
        ["depmod"] = "kmod",
        ["dpkg-deb"] = "dpkg",
        ["dpkg-query"] = "dpkg",
        ["du"] = "coreutils",
        ["mke2fs"] = "e2fsprogs",
        ["sh"] = "dash",
        ["strip"] = "binutils",
        ["xz"] = "xz-utils",
    };

    /// <summary>Runs a tool to its end.</summary>
    /// <param name="name">A program's name, looked for on PATH and in the administrator's folders.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="cancellation">Ends it, and everything it started.</param>
    /// <param name="folder">Where it runs.</param>
    /// <param name="onLine">Gets each line of its standard output and error, one at a time.</param>
    /// <param name="gently">Ask it to end (SIGTERM) and let it clean up before it is killed.</param>
    /// <exception cref="ImageException">It is missing, or failed: the message has the last lines it printed.</exception>
    public static async Task RunAsync(
        string name,
        IEnumerable<string> arguments,
        CancellationToken cancellation,
        string? folder = null,
        Action<string>? onLine = null,
        bool gently = false)
    {
        Invocation run = await StartAndWaitAsync(name, arguments, folder, p => PumpLinesAsync(p, null, onLine, cancellation), gently, cancellation).ConfigureAwait(false);
        run.ThrowIfFailed();
    }

    /// <summary>As <see cref="RunAsync"/>; gives what it printed on its standard output.</summary>
    public static async Task<string> ReadAsync(string name, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        (string output, Invocation run) = await ReadCoreAsync(name, arguments, cancellation).ConfigureAwait(false);
        run.ThrowIfFailed();
        return output;
    }

    /// <summary>As <see cref="ReadAsync"/>, for tools that print an answer and a status that says it is not complete.</summary>
    public static async Task<string> ReadDespiteStatusAsync(string name, IEnumerable<string> arguments, CancellationToken cancellation) =>
        (await ReadCoreAsync(name, arguments, cancellation).ConfigureAwait(false)).Output;

    /// <summary>As <see cref="ReadAsync"/>, for output that is not text.</summary>
    public static async Task<byte[]> ReadBytesAsync(string name, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        Invocation run = await StartAndWaitAsync(
            name,
            arguments,
            null,
            async p =>
            {
                Task copy = p.StandardOutput.BaseStream.CopyToAsync(bytes, cancellation);
                string errors = await p.StandardError.ReadToEndAsync(cancellation).ConfigureAwait(false);
                await copy.ConfigureAwait(false);
                return errors;
            },
            gently: false,
            cancellation).ConfigureAwait(false);
        run.ThrowIfFailed();
        return bytes.ToArray();
    }

    /// <summary>The full path of a program.</summary>
    /// <exception cref="ImageException">It is not installed.</exception>
    public static string Require(string name) => Find(name) ?? throw Missing(name);

    private static async Task<(string Output, Invocation Run)> ReadCoreAsync(string name, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        var output = new List<string>();
        Invocation run = await StartAndWaitAsync(name, arguments, null, p => PumpLinesAsync(p, output.Add, null, cancellation), gently: false, cancellation).ConfigureAwait(false);
        return (string.Join('\n', output), run);
    }

    private static async Task<Invocation> StartAndWaitAsync(
        string name, IEnumerable<string> arguments, string? folder, Func<Process, Task<string>> pump, bool gently, CancellationToken cancellation)
    {
        string path = Require(name);
        var start = new ProcessStartInfo(path, arguments)
        {
            WorkingDirectory = folder ?? Environment.CurrentDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Messages that are parsed, or shown as they are, do not follow the user's language.
        start.Environment["LC_ALL"] = "C.UTF-8";
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        foreach (string variable in s_foreignVariables)
        {
            start.Environment.Remove(variable);
        }

        cancellation.ThrowIfCancellationRequested();
        using Process process = Process.Start(start) ?? throw Missing(name);
        using var streams = new RedirectedStreams(process);
        string tail;
        try
        {
            process.StandardInput.Close();
            tail = await pump(process).ConfigureAwait(false);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        }
        catch
        {
            await EndAsync(process, gently).ConfigureAwait(false);
            throw;
        }

        if (process.ExitCode is 130 or 143)
        {
            // Ctrl-C reaches the tool as well as this process, and the tool may be the first to end of it.
            await Task.Delay(s_graceOnInterrupt, cancellation).ConfigureAwait(false);
        }

        return new Invocation(name, start.ArgumentList, process.ExitCode, tail);
    }

    /// <summary>Reads both streams to their end; gives the last lines of the two.</summary>
    private static async Task<string> PumpLinesAsync(Process process, Action<string>? onOutput, Action<string>? onLine, CancellationToken cancellation)
    {
        var last = new List<(string Line, bool IsError)>();
        // Guards last, and keeps the callbacks one at a time.
        var gate = new Lock();

        async Task Pump(StreamReader reader, Action<string>? sink, bool isError)
        {
            while (await reader.ReadLineAsync(cancellation).ConfigureAwait(false) is { } line)
            {
                lock (gate)
                {
                    sink?.Invoke(line);
                    onLine?.Invoke(line);
                    last.Add((line, isError));
                    if (last.Count > RememberedLines)
                    {
                        // The streams come in no order: an error may be read before the output that was printed ahead of it.
                        last.RemoveAt(Math.Max(0, last.FindIndex(kept => !kept.IsError)));
                    }
                }
            }
        }

        await Task.WhenAll(Pump(process.StandardOutput, onOutput, isError: false), Pump(process.StandardError, null, isError: true)).ConfigureAwait(false);
        return string.Join('\n', last.Select(kept => kept.Line));
    }

    private static async Task EndAsync(Process process, bool gently)
    {
        try
        {
            if (gently && !process.HasExited)
            {
                // The BCL can only kill; sh has a kill of its own that asks.
                using Process? asking = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "kill -TERM \"$1\"", "sh", $"{process.Id}"]));
                using var grace = new CancellationTokenSource(s_graceOnCancel);
                await process.WaitForExitAsync(grace.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It was asked and did not listen.
        }

        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static string? Find(string name)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? string.Empty;
        foreach (string folder in (path + ":/usr/sbin:/sbin").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            string candidate = Path.Combine(folder, name);
            if (File.Exists(candidate))
            {
                return candidate;
            }
        }

        return null;
    }

    private static ImageException Missing(string name) =>
        new($"The program {name} is needed and not installed. Install it: apt-get install {s_packages.GetValueOrDefault(name, name)}");

    private readonly record struct Invocation(string Name, IEnumerable<string> Arguments, int Status, string Tail)
    {
        private const int ShownCommand = 200;

        public void ThrowIfFailed()
        {
            if (Status == 0)
            {
                return;
            }

            string command = $"{Name} {string.Join(' ', Arguments)}".ReplaceLineEndings(" ");
            command = command.Length > ShownCommand ? command[..ShownCommand] + "…" : command;
            throw new ImageException($"{command} failed with status {Status}{(Tail.Length > 0 ? ":\n" + Tail.TrimEnd() : ".")}");
        }
    }
}
