using System.Diagnostics;
using System.Globalization;

namespace Hearth.Network.Tests;

/// <summary>Hosts that are only network namespaces, in a folder of their own; all gone at the end, whatever happened.</summary>
internal sealed class Hosts : IDisposable
{
    private static readonly Lazy<string?> s_missing = new(Missing);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-network-").FullName;

    /// <summary>Skips the test where the machine cannot have such hosts.</summary>
    public Hosts()
    {
        Assert.SkipWhen(s_missing.Value is not null, s_missing.Value ?? "");
    }

    public string Folder => _folder;

    public string Namespaces => Path.Combine(_folder, "netns");

    /// <summary>A host with nothing but its loopback.</summary>
    public string Add(string name) => NetworkNamespace.Create(Namespaces, name);

    /// <summary>Runs a program in a host; fails the test if the program fails.</summary>
    public static string In(string path, params IEnumerable<string> command) => Run("nsenter", [$"--net={path}", .. command]);

    /// <summary><c>ip</c> in a host, its arguments in one string.</summary>
    public static string Ip(string path, string arguments) => In(path, ["ip", .. arguments.Split(' ')]);

    /// <summary>Runs a program; fails the test if the program fails.</summary>
    public static string Run(string program, params IEnumerable<string> arguments)
    {
        (int status, string output) = Try(program, arguments);
        Assert.True(status == 0, $"{program} {string.Join(' ', arguments)}: {output}");
        return output;
    }

    public static (int Status, string Output) Try(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    public void Dispose()
    {
        if (Directory.Exists(Namespaces))
        {
            foreach (string path in Directory.GetFiles(Namespaces))
            {
                NetworkNamespace.Remove(path);
            }
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static string? Missing()
    {
        if (Environment.UserName != "root")
        {
            return "network namespaces need root";
        }

        if (!File.Exists("/dev/net/tun"))
        {
            return "no /dev/net/tun on this machine";
        }

        string folder = Directory.CreateTempSubdirectory("hearth-network-").FullName;
        string path = Path.Combine(folder, "probe");
        try
        {
            NetworkNamespace.Create(folder, "probe");
            (int status, string output) = Try("nsenter", $"--net={path}", "ip", "link", "add", "type", "veth");
            return status == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"no veth pairs on this machine: {output}");
        }
        catch (Exception e) when (e is Linux.HearthException or System.ComponentModel.Win32Exception)
        {
            return $"no network namespaces on this machine: {e.Message}";
        }
        finally
        {
            NetworkNamespace.Remove(path);
            Directory.Delete(folder);
        }
    }
}
