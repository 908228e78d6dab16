using System.Text.Json;
using System.Text.Json.Nodes;
using Hearth.Linux;
using Hearth.Linux.Netlink;

namespace Hearth.Network.Cni;

/// <summary>
/// Attaches pods to the network that CNI's configuration describes, and detaches them by the configuration that attached
/// them, after a restart too. Thread: any; calls for one pod wait for each other. Source: CNI specification 1.1; the
/// versions 0.1 to 1.0 are spoken where the configuration asks for them.
/// </summary>
public sealed class CniNetworks
{
    private readonly CniOptions _options;
    private readonly CniPlugins _plugins;
    private readonly CniCache _cache;
    private readonly KeyedLock _pods = new();
    private volatile DefaultNetwork? _default;

    public CniNetworks(CniOptions options)
    {
        _options = options;
        _default = options.Default;
        _plugins = new CniPlugins(options.PluginFolders, options.TimeLimit);
        _cache = new CniCache(options.CacheFolder);
    }

    /// <summary>What pods get where no network is configured; null for a failure. Pods that have a network keep it.</summary>
    public DefaultNetwork? Default
    {
        get => _default;
        set => _default = value;
    }

    /// <summary>The network that the next pod gets.</summary>
    /// <exception cref="CniException">There is none, or its configuration is not valid.</exception>
    public CniNetworkList Current() =>
        CniConfFolder.First(_options.ConfFolder) ?? _default?.ToList()
        ?? throw new CniException($"There is no CNI configuration in {_options.ConfFolder} (network.cni_conf).");

    /// <summary>Attaches a pod: the loopback is brought up, and each plugin is called. A pod that is attached already keeps what it has.</summary>
    /// <exception cref="HearthException">It failed; all plugins have been told to undo what they did.</exception>
    public async Task<CniResult> AttachAsync(CniPod pod, CancellationToken cancellation = default)
    {
        pod.Check();
        using IDisposable turn = await _pods.EnterAsync(pod.Id, cancellation).ConfigureAwait(false);
        CniNetworkList list = Current();
        var entry = new CniCacheEntry(list.Name, pod.Id, pod.Interface, pod.NamespacePath, pod.Arguments, list.Json, pod.Capabilities.ToJson(), null);
        foreach (CniCacheEntry earlier in _cache.Of(pod.Id).Where(earlier => earlier.Interface == pod.Interface))
        {
            if (earlier.Result is { } known && earlier.NamespacePath == pod.NamespacePath)
            {
                return CniResult.Parse(known, $"network {earlier.Network}");
            }

            // Begun by a daemon that died, or for a namespace that is no more.
            await UndoAsync(earlier, cancellation).ConfigureAwait(false);
        }

        NetworkNamespace.Run(pod.NamespacePath, static () =>
        {
            using var routes = new RouteSocket();
            routes.SetUp(RouteSocket.IndexOf("lo"));
            return true;
        });
        // All must be there before any is called.
        foreach (CniPluginConf plugin in list.Plugins)
        {
            _ = _plugins.Find(plugin.Type);
        }

        _cache.Write(entry);
        try
        {
            CniResult result = await AddAsync(list, entry, cancellation).ConfigureAwait(false);
            _cache.Write(entry with { Result = result.Json });
            return result;
        }
        catch (Exception e)
        {
            await UndoAfterAsync(entry, e).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>What a pod was given; null for one that is not attached.</summary>
    public CniResult? Find(string podId, string interfaceName = "eth0") =>
        _cache.Of(podId).FirstOrDefault(entry => entry.Interface == interfaceName) is { Result: { } known } entry
            ? CniResult.Parse(known, $"network {entry.Network}")
            : null;

    /// <summary>Detaches a pod from everything. One that is attached to nothing is no error.</summary>
    /// <exception cref="HearthException">A plugin failed; the others were called all the same, and the attachment is remembered for another try.</exception>
    public async Task DetachAsync(string podId, CancellationToken cancellation = default)
    {
        if (!CniNames.IsName(podId))
        {
            return;
        }

        using IDisposable turn = await _pods.EnterAsync(podId, cancellation).ConfigureAwait(false);
        foreach (CniCacheEntry entry in _cache.Of(podId))
        {
            await UndoAsync(entry, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Asks the plugins whether a pod still has all that it was given (CHECK; nothing is asked below 0.4.0).</summary>
    /// <exception cref="HearthException">It does not, or the pod is not attached.</exception>
    public async Task CheckAsync(string podId, CancellationToken cancellation = default)
    {
        using IDisposable turn = await _pods.EnterAsync(podId, cancellation).ConfigureAwait(false);
        IReadOnlyList<CniCacheEntry> entries = _cache.Of(podId);
        if (!entries.Any(static entry => entry.Result is not null))
        {
            throw new HearthException($"The pod {podId} is attached to no network.");
        }

        foreach (CniCacheEntry entry in entries.Where(static entry => entry.Result is not null))
        {
            CniNetworkList list = ListOf(entry);
            if (list.Version < CniVersion.WithCheck || list.DisableCheck)
            {
                continue;
            }

            foreach (CniPluginConf plugin in list.Plugins)
            {
                await _plugins.RunAsync(
                    plugin.Type, CallOf("CHECK", entry), ConfFor(plugin, list, entry, entry.Result), list.Name, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// Detaches what no live pod has, for the start of a daemon, and lets plugins of CNI 1.1 collect what they know
    /// besides. Goes on after failures.
    /// </summary>
    /// <returns>The pods that were detached, each with what went wrong, if anything did.</returns>
    public async Task<IReadOnlyList<(string PodId, HearthException? Failure)>> CollectAsync(IReadOnlySet<string> livePods, CancellationToken cancellation = default)
    {
        var collected = new List<(string, HearthException?)>();
        foreach (string podId in _cache.All().Select(static entry => entry.ContainerId).Distinct().Where(id => !livePods.Contains(id)))
        {
            try
            {
                await DetachAsync(podId, cancellation).ConfigureAwait(false);
                collected.Add((podId, null));
            }
            catch (HearthException e)
            {
                collected.Add((podId, e));
            }
        }

        foreach (IGrouping<string, CniCacheEntry> network in _cache.All().GroupBy(static entry => entry.Network))
        {
            await CollectAsync(ListOf(network.First()), [.. network], cancellation).ConfigureAwait(false);
        }

        if (TryCurrent() is { } current && !_cache.All().Any(entry => entry.Network == current.Name))
        {
            await CollectAsync(current, [], cancellation).ConfigureAwait(false);
        }

        return collected;
    }

    /// <summary>Whether pods can be attached now: CRI's NetworkReady.</summary>
    /// <returns>Null if so; else why not.</returns>
    public async Task<string?> StatusAsync(CancellationToken cancellation = default)
    {
        try
        {
            CniNetworkList list = Current();
            foreach (CniPluginConf plugin in list.Plugins)
            {
                _ = _plugins.Find(plugin.Type);
                if (list.Version >= CniVersion.WithGc)
                {
                    await _plugins.RunAsync(plugin.Type, new CniCall("STATUS"), ConfFor(plugin, list), list.Name, cancellation).ConfigureAwait(false);
                }
            }

            return null;
        }
        catch (CniException e)
        {
            return e.Message;
        }
    }

    /// <summary>Asks each plugin of a network which versions it speaks.</summary>
    /// <exception cref="CniException">One is missing, or does not speak the network's.</exception>
    public async Task ValidateAsync(CniNetworkList list, CancellationToken cancellation = default)
    {
        foreach (CniPluginConf plugin in list.Plugins)
        {
            // Old plugins want the other parameters too.
            byte[] answer = await _plugins.RunAsync(
                plugin.Type, new CniCall("VERSION", "dummy", "dummy", "dummy"), new JsonObject { ["cniVersion"] = list.Version.ToString() }, list.Name, cancellation).ConfigureAwait(false);
            IReadOnlyList<string> spoken = VersionsOf(answer, plugin.Type);
            if (!spoken.Contains(list.Version.ToString(), StringComparer.Ordinal))
            {
                throw new CniException(
                    $"The network {list.Name} is for CNI {list.Version}, which the plugin {plugin.Type} does not speak: it speaks {string.Join(", ", spoken)}.");
            }
        }
    }

    private static IReadOnlyList<string> VersionsOf(byte[] answer, string type)
    {
        try
        {
            if (JsonNode.Parse(answer)?["supportedVersions"] is JsonArray versions)
            {
                return [.. versions.Select(static version => version?.ToString() ?? "")];
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Told below.
        }

        throw new CniException($"The CNI plugin {type} did not say which versions it speaks.");
    }

    private static CniNetworkList ListOf(CniCacheEntry entry) => CniNetworkList.Parse(entry.Configuration, $"that attached {entry.ContainerId}");

    private static CniCall CallOf(string command, CniCacheEntry entry) => new(command, entry.ContainerId, entry.NamespacePath, entry.Interface, entry.Arguments);

    // What the plugin is given: its own configuration, and the network's name and version, what it asked to be told of the
    // pod, and the result before it. Source: CNI specification, "Section 3".
    private static JsonObject ConfFor(CniPluginConf plugin, CniNetworkList list, CniCacheEntry? entry = null, JsonObject? previous = null)
    {
        JsonObject conf = plugin.Conf.DeepClone().AsObject();
        conf["name"] = list.Name;
        conf["cniVersion"] = list.Version.ToString();
        if (entry is not null)
        {
            var told = new JsonObject();
            foreach (string capability in plugin.Capabilities)
            {
                if (entry.Capabilities[capability] is { } value)
                {
                    told[capability] = value.DeepClone();
                }
            }

            if (told.Count > 0)
            {
                conf["runtimeConfig"] = told;
            }
        }

        if (previous is not null)
        {
            conf["prevResult"] = previous.DeepClone();
        }

        return conf;
    }

    private async Task<CniResult> AddAsync(CniNetworkList list, CniCacheEntry entry, CancellationToken cancellation)
    {
        CniResult? result = null;
        foreach (CniPluginConf plugin in list.Plugins)
        {
            byte[] printed = await _plugins.RunAsync(
                plugin.Type, CallOf("ADD", entry), ConfFor(plugin, list, entry, result?.Json), list.Name, cancellation).ConfigureAwait(false);
            result = CniResult.Parse(printed, $"the CNI plugin {plugin.Type}");
        }

        return result!;
    }

    // DEL in reverse order. Every plugin is called, whatever the others say; the first failure is told.
    private async Task UndoAsync(CniCacheEntry entry, CancellationToken cancellation)
    {
        CniNetworkList list = ListOf(entry);
        // A namespace that is gone is told as none: plugins then give back what is theirs on the host.
        CniCacheEntry called = NetworkNamespace.IsAt(entry.NamespacePath) ? entry : entry with { NamespacePath = "" };
        JsonObject? previous = list.Version >= CniVersion.WithCheck ? entry.Result : null;
        HearthException? failure = null;
        foreach (CniPluginConf plugin in list.Plugins.Reverse())
        {
            try
            {
                await _plugins.RunAsync(plugin.Type, CallOf("DEL", called), ConfFor(plugin, list, entry, previous), list.Name, cancellation).ConfigureAwait(false);
            }
            catch (HearthException e)
            {
                failure ??= e;
            }
        }

        if (failure is not null)
        {
            throw failure;
        }

        _cache.Remove(entry);
    }

    // After a failed ADD; what cannot be undone now is remembered for CollectAsync and the pod's DetachAsync.
    private async Task UndoAfterAsync(CniCacheEntry entry, Exception cause)
    {
        try
        {
            await UndoAsync(entry, CancellationToken.None).ConfigureAwait(false);
        }
        catch (HearthException e)
        {
            cause.Data["undo"] = e.Message;
        }
    }

    private async Task CollectAsync(CniNetworkList list, IReadOnlyList<CniCacheEntry> valid, CancellationToken cancellation)
    {
        if (list.Version < CniVersion.WithGc || list.DisableGc)
        {
            return;
        }

        foreach (CniPluginConf plugin in list.Plugins)
        {
            JsonObject conf = ConfFor(plugin, list);
            conf["cni.dev/valid-attachments"] = new JsonArray([.. valid.Select(static entry => new JsonObject
            {
                ["containerID"] = entry.ContainerId,
                ["ifname"] = entry.Interface,
            })]);
            try
            {
                await _plugins.RunAsync(plugin.Type, new CniCall("GC"), conf, list.Name, cancellation).ConfigureAwait(false);
            }
            catch (CniException)
            {
                // Best effort by the specification: the attachments that Hearth knows of are detached already.
            }
        }
    }

    private CniNetworkList? TryCurrent()
    {
        try
        {
            return Current();
        }
        catch (CniException)
        {
            return null;
        }
    }
}
