using System.Collections;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Machine;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Bootstrap;

/// <summary><c>delete</c>: takes away what a container whose shim died has left, or asks a shim that lives to do it.</summary>
public static class DeleteCommand
{
    // containerd kills a delete five seconds after it started it, of which a busy machine may need most to run this program at all.
    private const int PatienceMs = 1000;

    // For a shim that lives. Ending a machine in order takes five seconds at most.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>Answers with a <see cref="DeleteResponse"/>. There being nothing left is no error.</summary>
    /// <param name="arguments">As the manager gave them.</param>
    /// <param name="output">Where the answer goes.</param>
    public static async Task RunAsync(ShimArguments arguments, Stream output)
    {
        if (arguments.Id.Length == 0 || arguments.Namespace.Length == 0)
        {
            throw new HearthException("A container is deleted with -namespace and -id.");
        }

        string bundle = Path.GetFullPath(arguments.Bundle.Length == 0 ? "." : arguments.Bundle);
        PodIdentity identity = IdentityOf(arguments.Id, bundle);
        ShimPaths paths = PathsOf(arguments, bundle, identity.PodId);
        arguments = arguments with { Socket = paths.Socket, Pod = identity.Kind == BundleKind.Member ? identity.PodId : arguments.Id };
        await (arguments.Address.Length > 0 ? CleanUpApartAsync(arguments) : CleanUpAsync(arguments)).ConfigureAwait(false);
        output.Write(new DeleteResponse { ExitStatus = ProcessExit.Killed, ExitedAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow) }.ToByteArray());
    }

    /// <summary>
    /// The action <c>clean-up</c>: the work of <c>delete</c>, whose process may not last as long. A shim that lives is asked to do it;
    /// where it does not, the pod's own delete ends it.
    /// </summary>
    /// <param name="arguments">The container, its pod, and the socket of its shim.</param>
    /// <param name="patience">How long the shim has for it; null for the usual 30 s.</param>
    /// <exception cref="HearthException">It cannot be done.</exception>
    public static async Task CleanUpAsync(ShimArguments arguments, TimeSpan? patience = null)
    {
        ShimPaths paths = ShimPaths.OfSocket(arguments.Socket);
        if (ShimLaunch.IsServed(paths.Socket))
        {
            bool isPod = arguments.Pod == arguments.Id;
            if (await AskAsync(paths.Socket, arguments.Id, isPod, patience ?? s_patience).ConfigureAwait(false) is not { } failure)
            {
                return;
            }

            if (!isPod)
            {
                // Others are in the pod, and nobody has said that they should end.
                throw failure;
            }

            if (ShimLaunch.FindServer(paths.Socket) is { } shim)
            {
                await MachineRemains.EndAsync(shim).ConfigureAwait(false);
            }
        }

        await PodMachine.CleanUpAsync(paths.Folder, () => ShimLaunch.IsServed(paths.Socket)).ConfigureAwait(false);
        paths.Remove();
    }

    // containerd, whose address is given, keeps the bundle of a delete that it has killed for good. So the work is done by a process
    // that it does not know of, and the answer comes in time, whether that has finished or not. Everybody else waits for the end.
    private static async Task CleanUpApartAsync(ShimArguments arguments)
    {
        var paths = ShimPaths.OfSocket(arguments.Socket);
        int patienceMs = IsAtItsEnd(paths) ? 0 : PatienceMs;
        (FileDescriptor said, FileDescriptor tell) = Pipe.Create();
        using (said)
        {
            using (tell)
            using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
            {
                string program = Environment.ProcessPath!;
                string[] environment = [.. from DictionaryEntry variable in Environment.GetEnvironmentVariables() select $"{variable.Key}={variable.Value}"];
                ChildProcess.Spawn(
                    program,
                    [program, "-namespace", arguments.Namespace, "-id", arguments.Id, "-pod", arguments.Pod, "-socket", arguments.Socket, "clean-up"],
                    environment,
                    [nothing, nothing, tell],
                    newSession: true);
            }

            bool over = await Task.Run(() => Polling.WaitReadable(said, patienceMs)).ConfigureAwait(false);
            if (over && Encoding.UTF8.GetString(Pipe.ReadAll(said)).Trim() is { Length: > 0 } failure)
            {
                throw new HearthException(failure);
            }
        }
    }

    // As `start` wrote it; else as it would have found it.
    private static ShimPaths PathsOf(ShimArguments arguments, string bundle, string podId)
    {
        if (arguments.Socket.Length > 0)
        {
            return ShimPaths.OfSocket(arguments.Socket);
        }

        string address = Path.Combine(bundle, "address");
        if (File.Exists(address) && File.ReadAllText(address).Trim() is { Length: > 0 } text)
        {
            return ShimPaths.OfSocket(text);
        }

        return ShimPaths.Of(ShimConfig.Read(""), arguments.Namespace, podId, arguments.Address);
    }

    private static PodIdentity IdentityOf(string id, string bundle)
    {
        try
        {
            return PodIdentity.Of(ContainerCreation.ReadSpec(bundle), id, bundle);
        }
        catch (TtrpcException)
        {
            // The bundle is gone, or half of it: a pod of its own has the container's id.
            return PodIdentity.Chosen(bundle) ?? new PodIdentity(BundleKind.Alone, id);
        }
    }

    // containerd deletes a container as soon as its shim has closed its sockets, while that takes down the machine: the process that
    // cleans up has nothing to do but to look that the shim gets to its end.
    private static bool IsAtItsEnd(ShimPaths paths)
    {
        using FileDescriptor? free = FolderLock.TryTake(paths.Folder);
        return free is null && Directory.Exists(paths.Folder) && !ShimLaunch.IsServed(paths.Socket);
    }

    // The pod ends with its sandbox, whatever else is still in it. Null when it is done, else why it is not.
    private static async Task<HearthException?> AskAsync(string socket, string id, bool isPod, TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(socket, limit.Token).ConfigureAwait(false);
            await TryAsync(() => shim.KillAsync(id, Signals.SIGKILL, all: true, cancellation: limit.Token)).ConfigureAwait(false);
            await TryAsync(() => shim.WaitAsync(id, cancellation: limit.Token)).ConfigureAwait(false);
            await TryAsync(() => shim.DeleteAsync(id, cancellation: limit.Token)).ConfigureAwait(false);
            await TryAsync(() => shim.ShutdownAsync(id, now: isPod, cancellation: limit.Token)).ConfigureAwait(false);
            return null;
        }
        catch (Exception e) when (e is SocketException or TtrpcException or OperationCanceledException)
        {
            return new HearthException($"The shim at {socket} lives, and does not remove \"{id}\": {e.Message}", e);
        }
    }

    // There may be no such container, or it has ended, or never ran.
    private static async Task TryAsync(Func<Task> call)
    {
        try
        {
            await call().ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code is StatusCode.NotFound or StatusCode.FailedPrecondition)
        {
            // As it should be.
        }
    }
}
