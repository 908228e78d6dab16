using System.Collections.Concurrent;
using System.Text;
using Hearth.Configuration;
using Hearth.Images.Store;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Networks;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests;

/// <summary>
/// Test peers for the manager's own state: what outlives it (pods that run, networks that are attached), a handler and a network that
/// keep to their contracts, and a way to end the manager at any step as kill -9 does.
/// </summary>
internal sealed class World : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private PodRuntime? _runtime;
    private int _steps;

    /// <summary>Pods that run, with their containers.</summary>
    public ConcurrentDictionary<string, WorldPod> Pods { get; } = new();

    /// <summary>How far guests' clocks are behind this host's.</summary>
    public TimeSpan GuestsAreBehind { get; set; }

    /// <summary>Pods that have a network.</summary>
    public ConcurrentDictionary<string, bool> Networks { get; } = new();

    public List<string> Log { get; } = [];

    /// <summary>The step at which the manager is ended; later ones do nothing any more.</summary>
    public int CrashAt { get; set; } = int.MaxValue;

    public bool Crashed => _steps >= CrashAt;

    public int Steps => _steps;

    public string? NetworkFailure { get; set; }

    public string? StartFailure { get; set; }

    public HearthConfig Config => new()
    {
        Daemon = new DaemonConfig { Root = Path.Combine(_folder.Path, "root"), State = Path.Combine(_folder.Path, "state") },
    };

    public PodRuntime Runtime => _runtime!;

    /// <summary>Starts a manager; the one before it is gone without a word.</summary>
    public async Task<PodRuntime> RestartAsync()
    {
        _runtime?.Store.Dispose();
        CrashAt = int.MaxValue;
        await MakeImageAsync();
        var options = new PodRuntimeOptions
        {
            Config = Config,
            Log = line =>
            {
                lock (Log)
                {
                    Log.Add(line);
                }
            },
        };
        _steps = 0;
        _runtime = await PodRuntime.StartAsync(options, [new WorldHandler(this)], new WorldNetwork(this), TestContext.Current.CancellationToken);
        _runtime.Store.BeforeWrite = _ => Step();
        return _runtime;
    }

    /// <summary>Something is about to be done to the world.</summary>
    public void Step()
    {
        if (Interlocked.Increment(ref _steps) >= CrashAt)
        {
            throw new CrashException();
        }
    }

    public ValueTask DisposeAsync()
    {
        _runtime?.Store.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task MakeImageAsync()
    {
        string layout = Path.Combine(_folder.Path, "layout");
        if (Directory.Exists(layout))
        {
            return;
        }

        // The smallest image there is: an OCI layout whose one layer is an empty archive.
        Directory.CreateDirectory(Path.Combine(layout, "blobs", "sha256"));
        byte[] layer = new byte[1024];
        string config = $$$"""{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sh"]},"rootfs":{"type":"layers","diff_ids":["{{{Digest(layer)}}}"]}}""";
        string manifest = $$$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
             "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{{Blob(Encoding.UTF8.GetBytes(config))}}}","size":{{{config.Length}}}},
             "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{{{Blob(layer)}}}","size":{{{layer.Length}}}}]}
            """;
        string index = $$$"""
            {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
             "digest":"{{{Blob(Encoding.UTF8.GetBytes(manifest))}}}","size":{{{manifest.Length}}}}]}
            """;
        File.WriteAllText(Path.Combine(layout, "index.json"), index);
        File.WriteAllText(Path.Combine(layout, "oci-layout"), """{"imageLayoutVersion":"1.0.0"}""");
        var store = new ImageStore(Path.Combine(Config.Daemon.Root, "images"));
        await store.ImportAsync(layout, Hearth.Images.Registries.ImageReference.Parse("test"), null, TestContext.Current.CancellationToken);

        string Blob(byte[] content)
        {
            string digest = Digest(content);
            File.WriteAllBytes(Path.Combine(layout, "blobs", "sha256", digest["sha256:".Length..]), content);
            return digest;
        }

        static string Digest(byte[] content) => "sha256:" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content));
    }
}

/// <summary>The manager is no more.</summary>
internal sealed class CrashException : Exception;

/// <summary>A pod that runs.</summary>
internal sealed class WorldPod
{
    public ConcurrentDictionary<string, WorldContainer> Containers { get; } = new();

    public Action<HandlerEvent>? OnEvent { get; set; }
}

/// <summary>A container in one.</summary>
internal sealed class WorldContainer
{
    public bool Started { get; set; }

    public int? ExitCode { get; set; }
}

internal sealed class WorldNetwork(World world) : IPodNetwork
{
    public Task<string?> ProblemAsync(CancellationToken cancellation) => Task.FromResult(world.NetworkFailure);

    public string CreateNamespace(string podId)
    {
        world.Step();
        world.Networks[podId] = false;
        return "/netns/" + podId;
    }

    public Task<IReadOnlyList<string>> AttachAsync(Pod pod, CancellationToken cancellation)
    {
        world.Step();
        if (world.NetworkFailure is { } failure)
        {
            throw new PodException(PodFault.Internal, failure);
        }

        world.Networks[pod.Id] = true;
        return Task.FromResult<IReadOnlyList<string>>(["10.0.0.2", "fd00::2"]);
    }

    public Task DetachAsync(string podId, CancellationToken cancellation)
    {
        world.Step();
        world.Networks.TryRemove(podId, out _);
        return Task.CompletedTask;
    }

    public Task CollectAsync(IReadOnlySet<string> livePods, Action<string> log, CancellationToken cancellation)
    {
        foreach (string id in world.Networks.Keys.Where(id => !livePods.Contains(id)))
        {
            world.Networks.TryRemove(id, out _);
        }

        return Task.CompletedTask;
    }

    public void SetPodCidr(string cidr)
    {
    }
}

internal sealed class WorldHandler(World world) : IPodHandler
{
    public string Name => "microvm";

    public bool RecursiveReadonlyMounts => false;

    public bool UserNamespaces => false;

    public string Problem() => "";

    public void Check(PodConfig config)
    {
    }

    public void Check(Pod pod, ContainerConfig config)
    {
    }

    public async Task<IRunningPod> StartAsync(PodLaunch launch, CancellationToken cancellation)
    {
        world.Step();
        await (launch.Network ?? Task.CompletedTask);
        if (world.StartFailure is { } failure)
        {
            throw new PodException(PodFault.Unavailable, failure);
        }

        var pod = new WorldPod { OnEvent = launch.OnEvent };
        world.Pods[launch.Pod.Id] = pod;
        return new WorldRunning(world, launch.Pod.Id, pod);
    }

    public Task<IRunningPod?> AdoptAsync(PodLaunch launch, IReadOnlyList<Container> containers, CancellationToken cancellation)
    {
        if (!world.Pods.TryGetValue(launch.Pod.Id, out WorldPod? pod))
        {
            return Task.FromResult<IRunningPod?>(null);
        }

        pod.OnEvent = launch.OnEvent;
        foreach (Container container in containers)
        {
            if (!pod.Containers.TryGetValue(container.Id, out WorldContainer? there))
            {
                launch.OnEvent(new HandlerEvent.ContainerStopped(container.Id, 255, DateTimeOffset.UtcNow, false, "gone"));
            }
            else
            {
                if (there.Started)
                {
                    launch.OnEvent(new HandlerEvent.ContainerStarted(container.Id, DateTimeOffset.UtcNow));
                }

                if (there.ExitCode is not { } code)
                {
                    continue;
                }

                launch.OnEvent(new HandlerEvent.ContainerStopped(container.Id, code, DateTimeOffset.UtcNow, false));
            }
        }

        foreach (string stranger in pod.Containers.Keys.Except(containers.Select(container => container.Id)))
        {
            pod.Containers.TryRemove(stranger, out _);
        }

        return Task.FromResult<IRunningPod?>(new WorldRunning(world, launch.Pod.Id, pod));
    }

    public Task CleanUpAsync(PodLaunch launch, CancellationToken cancellation)
    {
        world.Step();
        world.Pods.TryRemove(launch.Pod.Id, out _);
        return Task.CompletedTask;
    }
}

internal sealed class WorldRunning(World world, string id, WorldPod pod) : IRunningPod
{
    public IReadOnlyDictionary<string, string> State { get; } = new Dictionary<string, string> { ["at"] = id };

    public Task<IReadOnlyDictionary<string, string>> CreateContainerAsync(ContainerLaunch launch, CancellationToken cancellation)
    {
        world.Step();
        if (launch.Spec.Process!.Args[0] == "/fails-to-create")
        {
            throw new PodException(PodFault.Internal, "no");
        }

        File.WriteAllBytes(Path.Combine(launch.Folder, "config.json"), launch.Spec.ToJson());
        pod.Containers[launch.Container.Id] = new WorldContainer();
        return Task.FromResult<IReadOnlyDictionary<string, string>>(new Dictionary<string, string>());
    }

    public Task StartContainerAsync(string container, CancellationToken cancellation)
    {
        world.Step();
        pod.Containers[container].Started = true;
        string program = world.Runtime.GetContainer(container).Command[0];
        if (program == "/missing")
        {
            throw new PodException(PodFault.NotFound, "exec: \"/missing\": no such file or directory");
        }

        if (program == "/ends-at-once")
        {
            End(container, 3);
        }

        return Task.CompletedTask;
    }

    public Task KillAsync(string container, int signal, bool all, CancellationToken cancellation)
    {
        world.Step();
        string program = world.Runtime.GetContainer(container).Command[0];
        if (signal == 9 || program != "/stubborn")
        {
            End(container, 128 + signal);
        }

        return Task.CompletedTask;
    }

    public Task RemoveContainerAsync(string container, CancellationToken cancellation)
    {
        world.Step();
        pod.Containers.TryRemove(container, out _);
        return Task.CompletedTask;
    }

    public Task UpdateContainerAsync(string container, ResourcesSpec resources, CancellationToken cancellation) => Task.CompletedTask;

    public Task UpdatePodAsync(ResourcesSpec resources, CancellationToken cancellation) => Task.CompletedTask;

    public Task ReopenLogAsync(string container, CancellationToken cancellation) => Task.CompletedTask;

    public Task<ExecResult> RunAsync(string container, ProcessSpec process, TimeSpan? timeout, CancellationToken cancellation) =>
        Task.FromResult(new ExecResult(Encoding.UTF8.GetBytes(string.Join(' ', process.Args)), [], 0));

    public Task<IProcessSession> ExecAsync(string container, ProcessSpec process, ExecOptions options, CancellationToken cancellation) => throw new PodException(PodFault.Unimplemented, "a test peer");

    public Task<IProcessSession> AttachAsync(Container container, AttachOptions options, CancellationToken cancellation) => throw new PodException(PodFault.Unimplemented, "a test peer");

    public Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation) => throw new PodException(PodFault.NotFound, "nobody listens");

    public Task<PodSample> StatsAsync(CancellationToken cancellation) => Task.FromResult(new PodSample
    {
        TakenAt = DateTimeOffset.UtcNow,
        Containers = [.. pod.Containers.Where(pair => pair.Value is { Started: true, ExitCode: null }).Select(pair => new ContainerSample { Id = pair.Key, CpuNanoseconds = 1000, Memory = new MemoryUse { Usage = 5 } })],
    });

    public Task<IReadOnlyDictionary<string, string>> DescribeAsync(CancellationToken cancellation) => Task.FromResult(State);

    public Task StopAsync(CancellationToken cancellation)
    {
        world.Step();
        world.Pods.TryRemove(id, out _);
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public void End(string container, int code)
    {
        if (pod.Containers.TryGetValue(container, out WorldContainer? there) && there is { Started: true, ExitCode: null })
        {
            there.ExitCode = code;
            pod.OnEvent!(new HandlerEvent.ContainerStopped(container, code, DateTimeOffset.UtcNow - world.GuestsAreBehind, false));
        }
    }
}
