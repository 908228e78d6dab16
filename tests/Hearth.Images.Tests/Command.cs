using System.Diagnostics;

namespace Hearth.Images.Tests;

/// <summary>Runs a tool that tests compare with; eng/test.sh installs them.</summary>
internal static class Command
{
    public static (int Status, string Output) Run(string name, params string[] arguments)
    {
        var start = new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(120)), $"{name} does not end");
        return (process.ExitCode, output + errors.Result);
    }

    public static string Must(string name, params string[] arguments)
    {
        (int status, string output) = Run(name, arguments);
        Assert.True(status == 0, $"{name} {string.Join(' ', arguments)}: {output}");
        return output;
    }
}
