using System.Diagnostics;
using Hearth.Testing;

namespace Hearth.Images.Tests.Cli;

/// <summary>
/// Runs the real <c>hearth</c> with stand-ins for apt, the compiler and the rest ahead on PATH, so that a "kernel" is
/// built in an instant and everything around it is as it is.
/// </summary>
internal sealed class FakeDebian : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string _path;

    public FakeDebian()
    {
        _path = _folder["bin"] + ":" + Environment.GetEnvironmentVariable("PATH");
        Script("dpkg-query", "for p; do echo \"$p install ok installed\"; done");
        Script("apt-cache", "case \"$1\" in policy) echo '  Candidate: 1.0-1';; depends) echo \"  Depends: ${2%-amd64}-9.9\";; esac");
        Script("apt-get", "[ \"$1\" = download ] || exit 3; touch package.deb");
        Script("gcc", "echo gcc 99");
        Script("dpkg-deb", "mkdir -p \"$3/usr/src\" \"$3/bin\"; touch \"$3/usr/src/linux-source-9.9.tar.xz\"; echo box >\"$3/bin/busybox\"");
        Script("tar", "mkdir \"$4/linux-source-9.9\"");
        Script("strip", "cp \"$3\" \"$2\"");
        Make(
            """
            echo '  CC      init/main.o'
            echo kernel >vmlinux
            """);
    }

    public string Output => _folder["out/vmlinux"];

    public string Cache => _folder["cache/hearth"];

    public string this[string name] => _folder[name];

    /// <summary>A program of that name, which does <paramref name="body"/>.</summary>
    public void Script(string name, string body)
    {
        Directory.CreateDirectory(_folder["bin"]);
        ProgramFile.Write(_folder["bin/" + name], "#!/bin/sh\nset -e\n" + body + "\n");
    }

    /// <summary>What <c>make vmlinux</c> does in the source tree. Every run is counted.</summary>
    public void Make(string vmlinux) =>
        Script(
            "make",
            $"""
            for target; do :; done
            case "$target" in
              allnoconfig) echo '# CONFIG_NOTHING is not set' >.config ;;
              vmlinux)
                echo run >>{_folder["builds"]}
                {vmlinux}
                ;;
            esac
            """);

    public int Builds => File.Exists(_folder["builds"]) ? File.ReadAllLines(_folder["builds"]).Length : 0;

    /// <summary>From here on only the stand-ins are on PATH.</summary>
    public void HideTheRealTools() => _path = _folder["bin"];

    public string Write(string name, string text) => _folder.Write(name, text);

    public Process Start(params string[] arguments)
    {
        // Whoever runs the tests in the background may have left SIGINT ignored.
        var start = new ProcessStartInfo("/usr/bin/env", ["--default-signal", HearthProgram.Path, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder.Path };
        start.Environment["PATH"] = _path;
        start.Environment["XDG_CACHE_HOME"] = _folder["cache"];
        return Process.Start(start)!;
    }

    public (int Status, string Output, string Errors) Run(params string[] arguments)
    {
        using Process process = Start(arguments);
        return End(process);
    }

    public static (int Status, string Output, string Errors) End(Process process)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)), "hearth does not end");
        return (process.ExitCode, output.Result, errors.Result);
    }

    public void Dispose() => _folder.Dispose();
}
