using System.Diagnostics;
using System.Globalization;
using System.Text;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>
/// What tests with somebody else's manager of containers share: a folder, hearth.toml, a registry with images, programs run to their end,
/// and the count of what is left. Nothing starts before the first test that asks.
/// </summary>
public abstract class ManagerLab : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(240);

    private static readonly string[] s_modules =
        ["tun", "overlay", "loop", "erofs", "bridge", "veth", "iptable_nat", "xt_comment", "xt_conntrack", "xt_MASQUERADE", "cls_u32", "sch_ingress", "act_mirred"];

    private readonly StringBuilder _log = new();
    private Process? _registry;

    internal string Folder { get; } = Directory.CreateTempSubdirectory("hearth-mgr-").FullName;

    internal string Config => Path.Combine(Folder, "hearth.toml");

    internal string State => Path.Combine(Folder, "state");

    internal string Root => Path.Combine(Folder, "root");

    internal string Busybox => $"127.0.0.1:{Port}/busybox:1";

    internal string Pause => $"127.0.0.1:{Port}/pause:1";

    internal int Port { get; private set; }

    /// <summary>What the manager and shims said: shown by a test that fails.</summary>
    internal string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <summary>Starts what is not running yet.</summary>
    internal void Ready()
    {
        _ = Lab.BuiltKernel;
        _ = Lab.AgentInitrd;
        if (_registry is not null)
        {
            return;
        }

        foreach (string module in s_modules)
        {
            PodLab.Run("modprobe", "-q", module);
        }

        File.WriteAllText(
            Config,
            $"""
            [daemon]
            root = "{Root}"
            state = "{State}"

            [microvm]
            kernel = "{Lab.BuiltKernel}"
            initrd = "{Lab.AgentInitrd}"
            memory_mib = 192
            boot_timeout_s = 150
            scratch_mib = 256
            """);
        Port = PodLab.FreePort();
        _registry = Process.Start(new ProcessStartInfo(Lab.ImagesScript, ["serve", $"{Port}"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        StartManager();
    }

    /// <summary>Starts the manager, if it is a process, and gets it its image.</summary>
    private protected abstract void StartManager();

    internal string OciRuntime => Path.Combine(Folder, "hearth-oci");

    /// <summary>Our OCI runtime with this folder's configuration: managers start it with an environment of their own.</summary>
    /// <returns>Its path.</returns>
    private protected string WriteOciRuntime()
    {
        string runtime = OciRuntime;
        File.WriteAllText(runtime, $"#!/bin/sh\nHEARTH_CONFIG={Config} exec {Lab.Program("hearth-oci")} \"$@\"\n");
        PodLab.Run("chmod", "755", runtime);
        return runtime;
    }

    /// <summary>Folders that are as before when all is removed.</summary>
    private protected abstract string[] Counted { get; }

    internal HostState Count() => HostState.Take([State, Root, .. Counted]);

    /// <summary>Polls until nothing is left beyond <paramref name="before"/>.</summary>
    /// <param name="before">What was there.</param>
    /// <param name="shared">Whether a line is of something that the manager keeps for all its containers.</param>
    internal void NothingLeft(HostState before, Func<string, bool>? shared = null)
    {
        string left = "";
        Eventually(
            () => (left = string.Join('\n', Count().Beyond(before).Split('\n').Where(line => shared?.Invoke(line) != true))).Length == 0,
            () => $"left behind:\n{left}");
    }

    internal void Eventually(Func<bool> condition, Func<string> what)
    {
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, $"{what()}\n{Tail()}");
            Thread.Sleep(200);
        }
    }

    /// <summary>Runs a program to its end.</summary>
    /// <param name="input">Its standard input.</param>
    /// <param name="program">On PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>Its exit status, output and errors.</returns>
    internal (int Status, string Output, string Errors) Run(string input, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        Prepare(start);
        using Process process = Process.Start(start)!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(s_deadline))
        {
            process.Kill();
            Assert.Fail($"{program} {string.Join(' ', arguments)} does not end\n{Tail()}");
        }

        return (process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    /// <summary>Hearth's processes with an option: <c>--id</c> is a monitor's, <c>-id</c> a shim's.</summary>
    /// <param name="option">Its name.</param>
    /// <param name="value">Its value, a pod's id; null for any.</param>
    internal static int[] ProcessesWith(string option, string? value = null)
    {
        List<int> found = [];
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int pid))
            {
                continue;
            }

            string[] words;
            try
            {
                words = File.ReadAllText($"{folder}/cmdline").Split('\0');
            }
            catch (IOException)
            {
                continue;
            }

            int at = Array.IndexOf(words, option);
            if (at > 0 && Path.GetFileName(words[0]) is "hearth-shim" or "containerd-shim-hearth-v2" or "hearth-vmm" && at + 1 < words.Length && (value is null || IsOf(words[at + 1], value)))
            {
                found.Add(pid);
            }
        }

        return [.. found];
    }

    // A jailed monitor's has its user's number behind the pod's, of which that leaves 64 characters.
    private static bool IsOf(string id, string pod)
    {
        const int most = 64;
        string stem = id.LastIndexOf('-') is > 0 and int end ? id[..end] : id;
        return id == pod || stem == pod || (id.Length == most && pod.StartsWith(stem, StringComparison.Ordinal));
    }

    /// <summary>Starts a program that goes on, whose output becomes part of <see cref="Log"/>.</summary>
    private protected Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        Prepare(start);
        Process process = Process.Start(start)!;
        foreach (StreamReader reader in new[] { process.StandardOutput, process.StandardError })
        {
            new Thread(() =>
            {
                while (reader.ReadLine() is { } line)
                {
                    lock (_log)
                    {
                        _log.AppendLine(line);
                    }
                }
            })
            { IsBackground = true }.Start();
        }

        return process;
    }

    /// <summary>The environment of whatever is started.</summary>
    private protected virtual void Prepare(ProcessStartInfo start) => start.Environment["HEARTH_CONFIG"] = Config;

    /// <summary>The end of the log, for a failure's message.</summary>
    internal string Tail()
    {
        const int most = 12000;
        string log = Log;
        return log[Math.Max(0, log.Length - most)..];
    }

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        if (_registry is not null)
        {
            StopManager();
            _registry.Kill();
        }

        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (IOException)
        {
            // A mount that was left: the tests that count have said so.
        }
    }

    private protected abstract void StopManager();
}
