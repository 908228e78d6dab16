using System.Globalization;
using Google.Protobuf;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Machine;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Bootstrap;
using Hearth.Ttrpc;

namespace Hearth.Shim.Bootstrap;

/// <summary><c>start</c>: finds the pod's shim or starts it, and says where it listens.</summary>
public static class StartCommand
{
    private const int NewestVersion = 3;
    private const int OldestVersion = 2;

    /// <param name="arguments">As the manager gave them.</param>
    /// <param name="input">As it sent it.</param>
    /// <param name="output">Where the answer goes.</param>
    /// <exception cref="HearthException">There is no shim, and none can be started.</exception>
    public static void Run(ShimArguments arguments, StandardInput input, Stream output)
    {
        arguments = Complete(arguments, input.Parameters);
        if (arguments.Id.Length == 0 || arguments.Namespace.Length == 0)
        {
            throw new HearthException("A shim is started with -namespace and -id.");
        }

        string bundle = Path.GetFullPath(arguments.Bundle.Length == 0 ? "." : arguments.Bundle);
        RuntimeSpec? spec = ReadSpec(bundle);
        string? network = spec?.Linux?.Namespaces.FirstOrDefault(static one => one.Type == "network")?.Path;
        HearthConfig config = ShimConfig.Read(input.ConfigPath);
        ShimPaths PathsOf(string pod) => ShimPaths.Of(config, arguments.Namespace, pod, arguments.Address);

        PodIdentity identity;
        if (spec is null)
        {
            identity = new PodIdentity(BundleKind.Sandbox, arguments.Id);
        }
        else if (PodIdentity.OfAnnotations(spec, arguments.Id) is { } said)
        {
            identity = said;
        }
        else
        {
            identity = arguments.Socket.Length > 0 ? new PodIdentity(BundleKind.Alone, arguments.Id) : PodChoice.Of(arguments.Id, network, PathsOf);
            identity.Choose(bundle);
        }

        ShimPaths paths = arguments.Socket.Length > 0 ? ShimPaths.OfSocket(arguments.Socket) : PathsOf(identity.PodId);
        // Two starts for one pod at a time would each take the other's socket for one that was left.
        using (paths.Lock())
        {
            Directory.CreateDirectory(paths.SocketFolder);
            if (!ShimLaunch.IsServed(paths.Socket))
            {
                if (identity.Kind == BundleKind.Member)
                {
                    throw new HearthException($"The container \"{arguments.Id}\" is in the pod \"{identity.PodId}\", which has no shim (any more) at {paths.Socket}.");
                }

                ShimLaunch.Run(new ShimLaunch
                {
                    Namespace = arguments.Namespace,
                    PodId = identity.PodId,
                    Bundle = bundle,
                    Paths = paths,
                    Debug = arguments.Debug,
                    EventsAddress = EventsAddress(input.Parameters),
                    ConfigPath = input.ConfigPath,
                    HookProgram = ManagerProgram.PathOf(spec?.Hooks),
                    Network = network,
                });
            }
        }

        // containerd before 2.0 looks there for the shims it had.
        File.WriteAllText(Path.Combine(bundle, "address"), paths.Address);
        output.Write(Answer(paths.Address, input.Parameters is not null));
    }

    /// <summary>
    /// The answer in the form that the manager reads. Of the second version everyone reads the address alone; CRI-O, and
    /// containerd before 1.7, nothing else.
    /// </summary>
    internal static byte[] Answer(string address, bool asMessage)
    {
        bool said = int.TryParse(Environment.GetEnvironmentVariable("MAX_SHIM_VERSION"), CultureInfo.InvariantCulture, out int most);
        int version = said ? Math.Clamp(most, OldestVersion, NewestVersion) : asMessage ? NewestVersion : OldestVersion;
        return asMessage
            ? new BootstrapResult { Version = version, Address = address, Protocol = "ttrpc" }.ToByteArray()
            : System.Text.Encoding.UTF8.GetBytes(new ShimAddress(version, address).Print(asJson: version > OldestVersion));
    }

    private static ShimArguments Complete(ShimArguments arguments, BootstrapParams? parameters) => parameters is null
        ? arguments
        : arguments with
        {
            Id = arguments.Id.Length > 0 ? arguments.Id : parameters.InstanceId,
            Namespace = parameters.Namespace.Length > 0 ? parameters.Namespace : arguments.Namespace,
            Debug = arguments.Debug || parameters.LogLevel < 0,
        };

    private static string EventsAddress(BootstrapParams? parameters) => parameters?.ContainerdTtrpcAddress is { Length: > 0 } address
        ? address
        : Environment.GetEnvironmentVariable("TTRPC_ADDRESS") ?? "";

    // Null for a bundle without one: containerd's of a pod, whose specification the sandbox service is given.
    private static RuntimeSpec? ReadSpec(string bundle)
    {
        try
        {
            return Directory.Exists(bundle) && !File.Exists(ContainerCreation.SpecPath(bundle)) ? null : ContainerCreation.ReadSpec(bundle);
        }
        catch (TtrpcException e)
        {
            throw new HearthException(e.Message, e);
        }
    }
}
