using System.Diagnostics;

namespace Hearth.Images;

/// <summary>
/// Runs the external tools that images are made with. No shell is involved: arguments are passed as they are.
/// </summary>
internal static class Tool
{
    private const int RememberedLines = 20;

    /// <summary>Where each tool comes from, for the error when it is missing.</summary>
    private static readonly Dictionary<string, string> s_packages = new(StringComparer.Ordinal)
    {
        ["apt-get"] = "apt",
        ["apt-cache"] = "apt",
        ["bc"] = "bc",
        ["bison"] = "bison",
        ["depmod"] = "kmod",
        ["dpkg-deb"] = "dpkg",
        ["flex"] = "flex",
        ["gcc"] = "gcc",
        ["make"] = "make",
        ["mke2fs"] = "e2fsprogs",
        ["mmdebstrap"] = "mmdebstrap",
        ["strip"] = "binutils",
        ["tar"] = "tar",
        ["xz"] = "xz-utils",
        ["zstd"] = "zstd",
    };

    /// <summary>Whether a program of that name is on PATH (or in the administrator's folders, which a user's PATH may lack).</summary>
    public static bool Exists(string name) => Find(name) is not null;

    /// <summary>Runs a tool to its end; each line of its output goes to <paramref name="onLine"/>.</summary>
    /// <exception cref="ImageException">It is missing, or failed: the message has the last lines it printed.</exception>
    public static Task RunAsync(
        string name, IEnumerable<string> arguments, CancellationToken cancellation, string? folder = null, Action<string>? onLine = null) =>
        RunCoreAsync(name, arguments, folder, line => onLine?.Invoke(line), onLine, cancellation);

    /// <summary>As <see cref="RunAsync"/>; gives what it printed on its standard output.</summary>
    public static async Task<string> ReadAsync(string name, IEnumerable<string> arguments, CancellationToken cancellation, string? folder = null)
    {
        var output = new List<string>();
        await RunCoreAsync(name, arguments, folder, output.Add, null, cancellation).ConfigureAwait(false);
        return string.Join('\n', output);
    }

    private static async Task RunCoreAsync(
        string name, IEnumerable<string> arguments, string? folder, Action<string> onOutput, Action<string>? onError, CancellationToken cancellation)
    {
        string path = Find(name) ?? throw Missing(name);
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
        using Process process = Process.Start(start) ?? throw Missing(name);
        process.StandardInput.Close();
        var last = new Queue<string>();
        var gate = new Lock();

        async Task Pump(StreamReader reader, Action<string>? sink)
        {
            while (await reader.ReadLineAsync(cancellation).ConfigureAwait(false) is { } line)
            {
                lock (gate)
                {
                    sink?.Invoke(line);
                    last.Enqueue(line);
                    if (last.Count > RememberedLines)
                    {
                        last.Dequeue();
                    }
                }
            }
        }

        try
        {
            await Task.WhenAll(Pump(process.StandardOutput, onOutput), Pump(process.StandardError, onError)).ConfigureAwait(false);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        if (process.ExitCode != 0)
        {
            throw new ImageException($"{name} {string.Join(' ', start.ArgumentList)} failed with status {process.ExitCode}:\n{string.Join('\n', last)}");
        }
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
}
