namespace Hearth.Configuration;

/// <summary>Where a configured program is.</summary>
public static class ProgramPath
{
    /// <summary>A path with a slash stands for itself; a bare name is looked for beside the running program, then on PATH.</summary>
    /// <returns>An absolute path; null if there is no such file that may be run.</returns>
    public static string? Find(string program)
    {
        if (program.Contains('/'))
        {
            return IsProgram(program) ? Path.GetFullPath(program) : null;
        }

        string path = Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        return path.Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(static folder => folder.StartsWith('/'))
            .Prepend(AppContext.BaseDirectory)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(IsProgram);
    }

    private static bool IsProgram(string path)
    {
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        try
        {
            return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & Execute) != 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
