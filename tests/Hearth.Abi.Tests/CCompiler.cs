using System.Diagnostics;

namespace Hearth.Abi.Tests;

/// <summary>The C compiler, asked for its opinion only. Debian packages gcc, libc6-dev, linux-libc-dev.</summary>
internal static class CCompiler
{
    /// <summary>What the compiler has against the source; empty for nothing.</summary>
    public static string Complaints(string source)
    {
        var start = new ProcessStartInfo("cc", ["-x", "c", "-std=gnu11", "-fsyntax-only", "-"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        using Process compiler = Process.Start(start)!;
        compiler.StandardInput.Write(source);
        compiler.StandardInput.Close();
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        Assert.True(compiler.ExitCode == 0 || errors.Length > 0, $"cc ended with {compiler.ExitCode} and no word.");
        return errors;
    }
}
