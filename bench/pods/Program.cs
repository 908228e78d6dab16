using System.Diagnostics;
using System.Globalization;
using Grpc.Net.Client;
using Hearth.Cri.Protocol;
using Hearth.Lab.Tests.Pods;

// pod-bench ROUNDS IMAGE NAME=SOCKET NAME=SOCKET: two runtimes by CRI, in turns, over connections that stay.
// pod-bench idle COUNT IMAGE NAME=SOCKET: runs pods with one container that waits, says so, and removes them after a line of input.
if (args is ["idle", var count, var idleImage, var only])
{
    using var runtime = new PodRuntime(only, idleImage);
    await runtime.PullAsync();
    var pods = new List<string>();
    for (int i = 0; i < int.Parse(count, CultureInfo.InvariantCulture); i++)
    {
        pods.Add(await runtime.IdleAsync());
        Console.WriteLine($"pod {i + 1}");
    }

    Console.WriteLine("READY");
    Console.ReadLine();
    foreach (string pod in pods)
    {
        await runtime.RemoveAsync(pod);
    }

    return 0;
}

if (args is not [var rounds, var image, var first, var second])
{
    Console.Error.WriteLine("usage: pod-bench ROUNDS IMAGE NAME=SOCKET NAME=SOCKET | pod-bench idle COUNT IMAGE NAME=SOCKET");
    return 1;
}

using var ours = new PodRuntime(first, image);
using var theirs = new PodRuntime(second, image);
PodRuntime[] both = [ours, theirs];
foreach (PodRuntime runtime in both)
{
    await runtime.PullAsync();
}

// Round 0 warms caches and compiles this program.
for (int round = 0; round <= int.Parse(rounds, CultureInfo.InvariantCulture); round++)
{
    foreach (PodRuntime runtime in both)
    {
        await runtime.RoundAsync(keep: round > 0);
        Console.WriteLine($"round {round} {runtime}");
    }
}

foreach (string phase in PodRuntime.Phases)
{
    double a = ours.Median(phase);
    double b = theirs.Median(phase);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{phase,-34} {ours.Name} {a,9:F1} ms   {theirs.Name} {b,9:F1} ms   ratio {a / b:F3}"));
}

return 0;

/// <summary>One runtime under test. Thread: the one that made it.</summary>
internal sealed class PodRuntime : IDisposable
{
    public static readonly string[] Phases = ["RunPodSandbox", "CreateContainer", "StartContainer", "to first output", "cold, all of these", "ExecSync of true", "StopPodSandbox and RemovePodSandbox"];

    private const int Execs = 10;

    private readonly GrpcChannel _channel;
    private readonly RuntimeService.RuntimeServiceClient _runtime;
    private readonly ImageService.ImageServiceClient _images;
    private readonly string _image;
    private readonly Dictionary<string, List<double>> _seen = Phases.ToDictionary(static phase => phase, static _ => new List<double>());
    private readonly Dictionary<string, double> _last = [];
    private int _pods;

    public PodRuntime(string named, string image)
    {
        Name = named[..named.IndexOf('=')];
        _image = image;
        _channel = CriChannel.Open(named[(named.IndexOf('=') + 1)..]);
        _runtime = new RuntimeService.RuntimeServiceClient(_channel);
        _images = new ImageService.ImageServiceClient(_channel);
    }

    public string Name { get; }

    public async Task PullAsync() => await _images.PullImageAsync(new PullImageRequest { Image = new ImageSpec { Image = _image } });

    public double Median(string phase)
    {
        double[] sorted = [.. _seen[phase].Order()];
        return sorted[sorted.Length / 2];
    }

    /// <summary>A pod with one container from nothing to its first output, some execs, and away again.</summary>
    public async Task RoundAsync(bool keep)
    {
        _last.Clear();
        PodSandboxConfig config = Config();
        var all = Stopwatch.StartNew();
        string pod = await TimedAsync("RunPodSandbox", async () => (await _runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config })).PodSandboxId);
        ContainerConfig container = Container("echo first; trap 'exit 0' TERM; sleep 100000 & wait");
        string id = await TimedAsync("CreateContainer", async () => (await _runtime.CreateContainerAsync(new CreateContainerRequest { PodSandboxId = pod, Config = container, SandboxConfig = config })).ContainerId);
        await TimedAsync("StartContainer", async () => await _runtime.StartContainerAsync(new StartContainerRequest { ContainerId = id }));
        string log = Path.Combine(config.LogDirectory, container.LogPath);
        await TimedAsync("to first output", async () =>
        {
            while (!File.Exists(log) || new FileInfo(log).Length == 0)
            {
                await Task.Delay(1);
            }

            return 0;
        });
        _last["cold, all of these"] = all.Elapsed.TotalMilliseconds;
        var execs = new List<double>();
        for (int i = 0; i < Execs; i++)
        {
            await TimedAsync("ExecSync of true", async () => await _runtime.ExecSyncAsync(new ExecSyncRequest { ContainerId = id, Cmd = { "true" } }));
            execs.Add(_last["ExecSync of true"]);
        }

        _last["ExecSync of true"] = execs.Order().ElementAt(Execs / 2);
        await TimedAsync("StopPodSandbox and RemovePodSandbox", async () =>
        {
            await RemoveAsync(pod);
            return 0;
        });
        Directory.Delete(config.LogDirectory, recursive: true);
        if (keep)
        {
            foreach ((string phase, double milliseconds) in _last)
            {
                _seen[phase].Add(milliseconds);
            }
        }
    }

    /// <summary>A pod with one container that waits.</summary>
    public async Task<string> IdleAsync()
    {
        PodSandboxConfig config = Config();
        string pod = (await _runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config })).PodSandboxId;
        ContainerConfig container = Container("trap 'exit 0' TERM; sleep 100000 & wait");
        string id = (await _runtime.CreateContainerAsync(new CreateContainerRequest { PodSandboxId = pod, Config = container, SandboxConfig = config })).ContainerId;
        await _runtime.StartContainerAsync(new StartContainerRequest { ContainerId = id });
        return pod;
    }

    public async Task RemoveAsync(string pod)
    {
        await _runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = pod });
        await _runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = pod });
    }

    public void Dispose() => _channel.Dispose();

    public override string ToString() => $"{Name}: {string.Join(", ", _last.Select(static each => string.Create(CultureInfo.InvariantCulture, $"{each.Key} {each.Value:F1}")))}";

    private async Task<T> TimedAsync<T>(string phase, Func<Task<T>> action)
    {
        var clock = Stopwatch.StartNew();
        T result = await action();
        _last[phase] = clock.Elapsed.TotalMilliseconds;
        return result;
    }

    private PodSandboxConfig Config()
    {
        string name = $"bench-{Name}-{_pods++}";
        return new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = name, Namespace = "bench", Uid = name },
            LogDirectory = Directory.CreateTempSubdirectory(name).FullName,
            Linux = new LinuxPodSandboxConfig(),
        };
    }

    private ContainerConfig Container(string command) => new()
    {
        Metadata = new ContainerMetadata { Name = "main" },
        Image = new ImageSpec { Image = _image },
        Command = { "sh", "-c", command },
        LogPath = "main.log",
        Linux = new LinuxContainerConfig(),
    };
}
