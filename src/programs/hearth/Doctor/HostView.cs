using System.ComponentModel;
using System.Diagnostics;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary>What of a host is looked at: files under a root, and programs.</summary>
internal sealed class HostView
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly string _root;
    private readonly string[] _searched;

    /// <param name="root"><c>/</c>, or a folder that stands for it.</param>
    /// <param name="searched">Folders of programs, under the root.</param>
    public HostView(string root, IEnumerable<string> searched)
    {
        _root = root;
        _searched = [.. searched];
    }

    public static HostView Here() => new(
        "/",
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Prepend(AppContext.BaseDirectory));

    /// <summary>Where a path of the host is.</summary>
    public string At(string path) => Path.Join(_root, path);

    public bool IsThere(string path) => Path.Exists(At(path));

    /// <summary>A file's text; null if it cannot be read.</summary>
    public string? TryRead(string path)
    {
        try
        {
            return File.ReadAllText(At(path)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A file's first bytes; fewer if it is shorter, null if it cannot be read.</summary>
    public byte[]? TryReadHead(string path, int bytes)
    {
        try
        {
            using FileStream file = File.OpenRead(At(path));
            var head = new byte[bytes];
            return head[..file.ReadAtLeast(head, bytes, throwOnEndOfStream: false)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public IReadOnlyList<string> List(string folder)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(At(folder)).Select(entry => Path.GetFileName(entry)!).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>A program's path on the host; null if it is nowhere.</summary>
    public string? Find(string program)
    {
        IEnumerable<string> candidates = program.Contains('/') ? [program] : _searched.Select(folder => Path.Combine(folder, program));
        return candidates.FirstOrDefault(candidate => IsProgram(At(candidate)));
    }

    /// <summary>Runs a program to its end.</summary>
    /// <returns>Its status, and what it said: on standard error where it said nothing else. Null if it cannot be run, or does not end.</returns>
    public async Task<(int Status, string Said)?> TryRunAsync(string program, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(s_patience);
        var start = new ProcessStartInfo(At(program), arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(patience.Token);
                Task<string> errors = process.StandardError.ReadToEndAsync(patience.Token);
                await process.WaitForExitAsync(patience.Token);
                string said = (await output).Trim();
                return (process.ExitCode, said.Length > 0 ? said : (await errors).Trim());
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                process.Kill();
                return null;
            }
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Bytes that are free where a path is, or will be; null if that cannot be known.</summary>
    public long? FreeBytes(string path)
    {
        string? folder = At(path);
        while (folder is not null && !Directory.Exists(folder))
        {
            folder = Path.GetDirectoryName(folder);
        }

        try
        {
            return folder is null ? null : new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    private static bool IsProgram(string path) =>
        File.Exists(path) && (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0;
}
