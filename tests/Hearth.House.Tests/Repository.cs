using System.Diagnostics;

namespace Hearth.House.Tests;

/// <summary>The repository these tests were built from: what git tracks, and what is about to be added.</summary>
internal static class Repository
{
    private static readonly Lazy<IReadOnlyList<SourceFile>> s_files = new(Read);

    public static string Root { get; } = FindRoot();

    /// <summary>All text files.</summary>
    public static IReadOnlyList<SourceFile> Files => s_files.Value;

    /// <summary>Runs git in the repository and returns what it says, without the newline at the end.</summary>
    public static string Git(params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = Root, RedirectStandardOutput = true };
        using Process git = Process.Start(start)!;
        string output = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        Assert.True(git.ExitCode == 0, $"git {string.Join(' ', arguments)} failed in {Root}: is this a checkout?");
        return output.TrimEnd('\n', '\0');
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Hearth.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} has Hearth.slnx.");
    }

    private static List<SourceFile> Read()
    {
        var files = new List<SourceFile>();
        foreach (string path in Git("ls-files", "-z", "--cached", "--others", "--exclude-standard").Split('\0'))
        {
            var file = new FileInfo(Path.Combine(Root, path));
            if (!file.Exists)
            {
                continue;
            }

            string text = File.ReadAllText(file.FullName);
            if (!text.Contains('\0'))
            {
                files.Add(new SourceFile(path, text, (file.UnixFileMode & UnixFileMode.UserExecute) != 0));
            }
        }

        return files;
    }
}
