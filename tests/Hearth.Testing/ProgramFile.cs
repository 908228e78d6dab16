using System.Diagnostics;

namespace Hearth.Testing;

/// <summary>Programs that tests write and then run.</summary>
public static class ProgramFile
{
    /// <summary>
    /// Writes a script, by a process of its own: a child that another thread starts meanwhile has this process's open files until it has become its
    /// program, and as long as anybody has a program open to write it, nobody can run it ("Text file busy").
    /// </summary>
    public static void Write(string path, string text)
    {
        using Process writer = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "cat >\"$0\" && chmod 755 \"$0\"", path]) { RedirectStandardInput = true })!;
        writer.StandardInput.Write(text);
        writer.StandardInput.Close();
        writer.WaitForExit();
        Assert.True(writer.ExitCode == 0, $"{path} could not be written: {writer.ExitCode}");
    }
}
