using System.Globalization;
using System.Text.Json;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary><c>create</c>: a machine for a bundle, its container made in it, and a process of this host that stands for it.</summary>
internal sealed class CreateCommand
{
    private readonly StateFolder _states;
    private readonly string _id;
    private readonly string _bundle;
    private readonly string? _consoleSocket;

    private CreateCommand(StateFolder states, Arguments arguments)
    {
        _states = states;
        _id = arguments.Id();
        _bundle = Path.GetFullPath(arguments.Value("bundle", "b") ?? ".");
        _consoleSocket = arguments.Value("console-socket");
        if (arguments.Value("preserve-fds") is { } text && text != "0")
        {
            throw new OciException("--preserve-fds: descriptors of this host cannot be given into a microVM.");
        }
    }

    /// <summary>Makes it.</summary>
    /// <exception cref="OciException">It cannot be made; nothing is left of it.</exception>
    public static async Task<ContainerState> RunAsync(StateFolder states, Arguments arguments)
    {
        var create = new CreateCommand(states, arguments);
        RuntimeSpec spec = create.ReadSpec();
        Check(spec, create._consoleSocket);
        // Before anything is made that would have to be taken away by the same program.
        ShimCommands.Find();
        states.Reserve(create._id);
        try
        {
            ContainerState state = await create.MakeAsync(spec);
            if (arguments.Value("pid-file") is { } file)
            {
                await File.WriteAllTextAsync(file, state.Pid.ToString(CultureInfo.InvariantCulture));
            }

            return state;
        }
        catch
        {
            await create.UndoAsync(spec);
            throw;
        }
    }

    private async Task<ContainerState> MakeAsync(RuntimeSpec spec)
    {
        bool terminal = spec.Process!.Terminal;
        NamespaceSpec? network = spec.Linux?.Namespaces.FirstOrDefault(static one => one.Type == "network");
        string given = network?.Path ?? "";
        ContainerState? companion = given.Length == 0 ? null : await PodSharing.FindAsync(_states, given);
        HostNamespaces.Check(spec, _states, companion);
        string podId = companion?.PodId ?? PodSharing.NewPodId(_states, _id);
        using var standIn = StandInLaunch.Start(terminal ? _consoleSocket : null, given);
        bool countsMachine = StandInCgroup.Enter(StandInCgroup.FolderOf(spec), standIn.Pid);
        await HooksOf(spec).RunBeforeAsync(standIn.Pid);
        string own = given.Length == 0 ? $"/proc/{standIn.Pid}/ns/net" : given;
        WriteBundle(PodSharing.Describe(spec, podId, joins: companion is not null), countsMachine, own);
        string address = await new ShimCommands(_states).StartAsync(_id);
        var task = new StandInTask(address, _id, "", _states.Of(_id), terminal);
        Fifos fifos = Fifos.Create(task.Folder, task.FifoName, terminal);
        await using (ShimClient shim = await ShimClient.ConnectAsync(address))
        {
            await shim.CreateAsync(new CreateTaskRequest
            {
                Id = _id,
                Bundle = _states.BundleOf(_id),
                Terminal = terminal,
                Stdin = fifos.Stdin,
                Stdout = fifos.Stdout,
                Stderr = fifos.Stderr,
            });
        }

        var state = new ContainerState
        {
            Id = _id,
            Bundle = _bundle,
            Shim = address,
            PodId = podId,
            Network = Namespaces.InodeOf(own),
            Pid = standIn.Pid,
            PidStart = HostProcess.StartOf(standIn.Pid),
            Cgroup = StandInCgroup.FolderOf(spec),
            OciVersion = spec.OciVersion,
            Created = DateTimeOffset.UtcNow,
            Annotations = spec.Annotations ?? new Dictionary<string, string>(),
        };
        _states.Write(state);
        await Task.Run(() => StandIn.Tell(standIn.Control, task));
        return state;
    }

    private RuntimeSpec ReadSpec()
    {
        string path = Path.Combine(_bundle, "config.json");
        if (!File.Exists(path))
        {
            throw new OciException($"There is no config.json in {_bundle}: --bundle names a folder with one (hearth-oci spec --bundle DIR writes an example).");
        }

        try
        {
            return RuntimeSpec.Parse(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new OciException($"{path} cannot be used: {e.Message}", e);
        }
    }

    private static void Check(RuntimeSpec spec, string? consoleSocket)
    {
        if (spec.Process is null || spec.Process.Args.Count == 0)
        {
            throw new OciException("The bundle's config.json has no process.args.");
        }

        if (spec.Root is null || spec.Root.Path.Length == 0)
        {
            throw new OciException("The bundle's config.json has no root.path.");
        }

        if (spec.Process.Terminal && consoleSocket is null)
        {
            throw new OciException("The process has a terminal, so create needs --console-socket.");
        }

        if (!spec.Process.Terminal && consoleSocket is not null)
        {
            throw new OciException("--console-socket was given, and the process has no terminal.");
        }

        HostNamespaces.CheckPaths(spec);
        HostNamespaces.CheckNetwork(spec);
    }

    private ContainerHooks HooksOf(RuntimeSpec spec) => new(spec, _id, _bundle);

    // The shim's own: absolute paths, the network where it is, and no hooks, which have this host's process number to see.
    private void WriteBundle(RuntimeSpec spec, bool countsMachine, string network)
    {
        RuntimeSpec own = spec with
        {
            Root = spec.Root! with { Path = Path.GetFullPath(spec.Root.Path, _bundle) },
            Hooks = null,
            Linux = spec.Linux! with
            {
                CgroupsPath = countsMachine ? spec.Linux.CgroupsPath : null,
                Namespaces = [.. spec.Linux.Namespaces.Select(one => one.Type == "network" ? one with { Path = network } : one)],
            },
        };
        File.WriteAllBytes(_states.ConfigOf(_id), own.ToJson());
    }

    private async Task UndoAsync(RuntimeSpec spec)
    {
        try
        {
            if (_states.HasBundle(_id))
            {
                await new ShimCommands(_states).DeleteAsync(_id);
            }
        }
        catch (Exception e) when (e is HearthException or ConfigException or IOException or UnauthorizedAccessException or TtrpcException)
        {
            Console.Error.WriteLine($"hearth-oci: what is left of {_id} could not be removed: {e.Message}");
        }
        finally
        {
            StandInCgroup.Leave(StandInCgroup.FolderOf(spec));
            _states.Remove(_id);
        }
    }
}
