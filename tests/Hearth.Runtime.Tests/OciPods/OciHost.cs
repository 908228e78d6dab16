using System.Diagnostics;
using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using Hearth.Configuration;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Network;
using Hearth.Runtime.Networks;
using Hearth.Runtime.OciPods;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests.OciPods;

/// <summary>A manager with the handler alone, an image of busybox, and networks that are a loopback. Skips where the host has not what it takes.</summary>
internal sealed class OciHost : IAsyncDisposable
{
    private const string Busybox = "/bin/busybox";

    private readonly TemporaryFolder _folder = new();
    private readonly StringBuilder _log = new();

    private OciHost(string runtime)
    {
        Config = new HearthConfig
        {
            Daemon = new DaemonConfig { Root = Path.Combine(_folder.Path, "root"), State = Path.Combine(_folder.Path, "state"), DefaultHandler = "oci" },
            Oci = new OciConfig { Runtime = runtime },
        };
    }

    public HearthConfig Config { get; }

    public PodRuntime Runtime { get; private set; } = null!;

    public string Logs => Path.Combine(_folder.Path, "logs");

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

    public static async Task<OciHost> StartAsync(string runtime = "crun")
    {
        Assert.SkipUnless(Environment.UserName == "root", "pods of the host need root");
        Assert.SkipUnless(File.Exists(Busybox), "Debian's busybox-static is not installed");
        var host = new OciHost(runtime);
        string problem = new OciHandler(host.Config, static _ => { }).Problem();
        if (problem.Length > 0)
        {
            host._folder.Dispose();
            Assert.Skip(problem);
        }

        // A kernel that has them built in has nothing to load.
        using (Process modules = Process.Start(new ProcessStartInfo("modprobe", ["-q", "-a", "erofs", "loop", "overlay"]) { RedirectStandardError = true })!)
        {
            await modules.WaitForExitAsync();
        }

        await host.MakeImageAsync();
        await host.RestartAsync();
        return host;
    }

    /// <summary>The manager lets go of everything, as one that ends does, and another comes.</summary>
    public async Task RestartAsync()
    {
        if (Runtime is not null)
        {
            await Runtime.DisposeAsync();
        }

        void Say(string line)
        {
            lock (_log)
            {
                _log.AppendLine(line);
            }
        }

        Runtime = await PodRuntime.StartAsync(new PodRuntimeOptions { Config = Config, Log = Say }, [new OciHandler(Config, Say)], new LoopbackNetwork(Path.Combine(_folder.Path, "netns")));
    }

    public PodConfig Pod(string name, NamespaceOptions? namespaces = null) => new()
    {
        Metadata = new PodMetadata { Name = name },
        LogDirectory = Path.Combine(Logs, name),
        Security = new PodSecurity { Namespaces = namespaces ?? new NamespaceOptions() },
    };

    public static ContainerConfig Shell(string name, string command) => new()
    {
        Name = name,
        Image = "busybox",
        Command = ["sh", "-c", command],
        LogPath = name + ".log",
    };

    public async Task<string> RunAsync(string pod, ContainerConfig config)
    {
        string id = await Runtime.CreateContainerAsync(pod, config);
        await Runtime.StartContainerAsync(id);
        return id;
    }

    /// <summary>Output of a command that must succeed.</summary>
    public async Task<string> OutputAsync(string container, string command)
    {
        ExecResult result = await Runtime.ExecSyncAsync(container, ["sh", "-c", command]);
        Assert.True(result.ExitCode == 0, $"'{command}' ended with {result.ExitCode}: {Encoding.UTF8.GetString(result.Stdout)}{Encoding.UTF8.GetString(result.Stderr)}");
        return Encoding.UTF8.GetString(result.Stdout);
    }

    public async Task<Container> AwaitEndAsync(string id)
    {
        for (DateTime until = DateTime.UtcNow.AddMinutes(3); ; await Task.Delay(50))
        {
            if (Runtime.GetContainer(id) is { Phase: ContainerPhase.Exited } ended)
            {
                return ended;
            }

            Assert.True(DateTime.UtcNow < until, $"{id} does not end:\n{Log}");
        }
    }

    /// <summary>The container's log without times.</summary>
    public static string[] LogLines(Container container) => [.. File.ReadAllLines(container.LogPath).Select(static line => line[(line.IndexOf(' ') + 1)..])];

    /// <summary>Everything that the handler made and should be gone.</summary>
    public string Left()
    {
        IEnumerable<string> mounts = File.ReadAllLines("/proc/self/mountinfo").Where(line => line.Contains(_folder.Path, StringComparison.Ordinal));
        IEnumerable<string> folders = new[] { Path.Combine(Config.Daemon.Root, "oci"), OciPaths.StateOf(Config) }.Where(Directory.Exists);
        IEnumerable<string> pods = Directory.Exists(Path.Combine(Config.Daemon.State, "bundles")) ? Directory.GetFileSystemEntries(Path.Combine(Config.Daemon.State, "bundles")) : [];
        IEnumerable<string> processes = Directory.GetDirectories("/proc").Where(static path => int.TryParse(Path.GetFileName(path), out _)).Select(CommandOf).Where(command => command.Contains(_folder.Path, StringComparison.Ordinal));
        return string.Join('\n', mounts.Concat(folders).Concat(pods).Concat(processes));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Pod pod in Runtime.ListPods())
        {
            await Runtime.RemovePodAsync(pod.Id);
        }

        await Runtime.DisposeAsync();
        string left = Left();
        _folder.Dispose();
        Assert.True(left.Length == 0, $"left behind:\n{left}\n{Log}");
    }

    private static string CommandOf(string process)
    {
        try
        {
            return File.ReadAllText(process + "/cmdline").Replace('\0', ' ');
        }
        catch (IOException)
        {
            return "";
        }
    }

    private async Task MakeImageAsync()
    {
        string layout = Path.Combine(_folder.Path, "layout");
        Directory.CreateDirectory(Path.Combine(layout, "blobs", "sha256"));
        using var archive = new MemoryStream();
        using (var tar = new TarWriter(archive, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (string folder in new[] { "bin", "tmp", "etc", "mnt", "dev", "proc", "sys" })
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, folder + "/") { Mode = folder == "tmp" ? (UnixFileMode)0x3ff : (UnixFileMode)0x1ed });
            }

            await tar.WriteEntryAsync(Busybox, "bin/busybox");
            foreach (string name in new[] { "sh", "cat", "echo", "sleep", "ps", "ls", "readlink", "hostname", "test", "touch", "id", "stty", "mount", "true", "head", "tr", "seq", "nc", "grep", "env", "dd" })
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "bin/" + name) { LinkName = "busybox" });
            }
        }

        byte[] layer = archive.ToArray();
        string config = $$$"""{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["{{{Blob(layer)}}}"]}}""";
        string manifest = $$$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
             "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{{Blob(Encoding.UTF8.GetBytes(config))}}}","size":{{{config.Length}}}},
             "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{{{Blob(layer)}}}","size":{{{layer.Length}}}}]}
            """;
        string index = $$$"""
            {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
             "digest":"{{{Blob(Encoding.UTF8.GetBytes(manifest))}}}","size":{{{manifest.Length}}}}]}
            """;
        await File.WriteAllTextAsync(Path.Combine(layout, "index.json"), index);
        await File.WriteAllTextAsync(Path.Combine(layout, "oci-layout"), """{"imageLayoutVersion":"1.0.0"}""");
        var store = new ImageStore(Path.Combine(Config.Daemon.Root, "images"));
        await store.ImportAsync(layout, ImageReference.Parse("busybox"), null, TestContext.Current.CancellationToken);

        string Blob(byte[] content)
        {
            string digest = Convert.ToHexStringLower(SHA256.HashData(content));
            File.WriteAllBytes(Path.Combine(layout, "blobs", "sha256", digest), content);
            return "sha256:" + digest;
        }
    }

    /// <summary>Namespaces with a loopback and no more.</summary>
    private sealed class LoopbackNetwork(string folder) : IPodNetwork
    {
        public Task<string?> ProblemAsync(CancellationToken cancellation) => Task.FromResult<string?>(null);

        public string CreateNamespace(string podId) => NetworkNamespace.Create(folder, podId);

        public Task<IReadOnlyList<string>> AttachAsync(Pod pod, CancellationToken cancellation) => Task.FromResult<IReadOnlyList<string>>(["127.0.0.1"]);

        public Task DetachAsync(string podId, CancellationToken cancellation)
        {
            NetworkNamespace.Remove(Path.Combine(folder, podId));
            return Task.CompletedTask;
        }

        public Task CollectAsync(IReadOnlySet<string> livePods, Action<string> log, CancellationToken cancellation) => Task.CompletedTask;

        public void SetPodCidr(string cidr)
        {
        }
    }
}
