using System.Diagnostics;
using System.Text;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests;

/// <summary>Debian's containerd with folders of its own, which finds our shim on its PATH, and an image.</summary>
public sealed class ContainerdLab : IDisposable
{
    public const string Runtime = "io.containerd.hearth.v2";

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(240);

    private readonly StringBuilder _log = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-ctd-").FullName;
    private Process? _registry;
    private Process? _containerd;

    public string Image { get; private set; } = "";

    public string State => Path.Combine(_folder, "state");

    public string Root => Path.Combine(_folder, "root");

    /// <summary>What containerd and shims said.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    private string Socket => Path.Combine(_folder, "ctd.sock");

    private string Variables => Path.Combine(_folder, "hearth.toml");

    /// <summary>Starts what is not running yet.</summary>
    public void Ready()
    {
        _ = Lab.BuiltKernel;
        _ = Lab.AgentInitrd;
        if (_containerd is not null)
        {
            return;
        }

        foreach (string module in new[] { "tun", "overlay", "loop", "erofs" })
        {
            PodLab.Run("modprobe", "-q", module);
        }

        string programs = Path.Combine(_folder, "bin");
        Directory.CreateDirectory(programs);
        File.CreateSymbolicLink(Path.Combine(programs, "containerd-shim-hearth-v2"), Lab.Program("hearth-shim"));
        File.WriteAllText(
            Variables,
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
            {Environment.GetEnvironmentVariable("HEARTH_LAB_MICROVM")}
            """);
        string config = Path.Combine(_folder, "config.toml");
        File.WriteAllText(config, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n");
        StartContainerd(programs, config);
        int port = PodLab.FreePort();
        _registry = Process.Start(new ProcessStartInfo(Lab.ImagesScript, ["serve", $"{port}"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Image = $"127.0.0.1:{port}/busybox:1";
        Eventually(() => Ctr("image", "pull", "--plain-http", Image).Status == 0, "the image does not come");
    }

    /// <summary>Runs ctr to its end.</summary>
    public (int Status, string Output) Ctr(params string[] arguments) => Ctr("", arguments);

    /// <param name="input">Its standard input.</param>
    /// <param name="arguments">After the address.</param>
    public (int Status, string Output) Ctr(string input, string[] arguments) => Run("ctr", ["-a", Socket, .. arguments], input);

    /// <summary>Runs ctr with a terminal.</summary>
    public (int Status, string Output) CtrOnTerminal(string arguments, string input) =>
        Run("script", ["-qec", $"ctr -a {Socket} {arguments}", "/dev/null"], input);

    public void Eventually(Func<bool> condition, string what)
    {
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, $"{what}\n{Log}");
            Thread.Sleep(200);
        }
    }

    internal HostState Count() => HostState.Take(State, Root);

    internal void NothingLeft(HostState before)
    {
        string left = "";
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while ((left = Count().Beyond(before)).Length > 0)
        {
            Assert.True(DateTime.UtcNow < deadline, $"left behind:\n{left}\n{Log}");
            Thread.Sleep(200);
        }
    }

    public void Dispose()
    {
        _containerd?.Kill();
        _containerd?.WaitForExit();
        _registry?.Kill();
        if (Environment.GetEnvironmentVariable("HEARTH_SHOW_LOG") is not null)
        {
            Console.Error.WriteLine(Log);
        }

        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (IOException)
        {
            // A leaked mount: the tests that count have said so.
        }
    }

    private void StartContainerd(string programs, string config)
    {
        var start = new ProcessStartInfo(
            "containerd",
            ["--config", config, "--root", Path.Combine(_folder, "ctd-root"), "--state", Path.Combine(_folder, "ctd-state"), "--address", Socket, "--log-level", "debug"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = programs + ":" + Environment.GetEnvironmentVariable("PATH");
        start.Environment["HEARTH_CONFIG"] = Variables;
        _containerd = Process.Start(start)!;
        foreach (StreamReader reader in new[] { _containerd.StandardOutput, _containerd.StandardError })
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
            }) { IsBackground = true }.Start();
        }

        Eventually(() => Ctr("version").Status == 0, "containerd does not answer");
    }

    private static (int Status, string Output) Run(string program, string[] arguments, string input)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(s_deadline), $"{program} {string.Join(' ', arguments)} does not end: {output}");
        return (process.ExitCode, output + errors.GetAwaiter().GetResult());
    }
}
