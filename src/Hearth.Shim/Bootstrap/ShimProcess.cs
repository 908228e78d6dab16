using System.Net.Sockets;
using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Shim.Events;
using Hearth.Shim.Machine;
using Hearth.Shim.Pods;
using Hearth.Shim.Service;

namespace Hearth.Shim.Bootstrap;

/// <summary>The shim in the background, from what <see cref="ShimLaunch"/> hands it to its end.</summary>
public static class ShimProcess
{
    /// <summary>What it says to who started it.</summary>
    internal const string Ready = "ready";

    private const int TasksNumber = 3;
    private const int StreamsNumber = 4;
    private const int ReadyNumber = 5;
    private const int MountsNumber = 6;
    private const int NetworkNumber = 7;
    private const int ProgramNumber = 8;
    private const int Backlog = 128;

    /// <param name="arguments">Namespace, pod, socket.</param>
    /// <exception cref="HearthException">It was not started by <c>start</c>.</exception>
    public static async Task RunAsync(ShimArguments arguments)
    {
        if (arguments.Namespace.Length == 0 || arguments.Id.Length == 0 || arguments.Socket.Length == 0)
        {
            throw new HearthException("A shim is started by its action \"start\": -namespace NS -id ID start.");
        }

        ShimPaths paths = ShimPaths.OfSocket(arguments.Socket);
        Socket tasks = Adopt(TasksNumber);
        Socket streams = Adopt(StreamsNumber);
        ManagerMounts.Use(ProcessImage.Adopt(MountsNumber));
        ManagerNetwork.Use(ProcessImage.Adopt(NetworkNumber));
        ManagerProgram.Use(arguments.HookProgram, ProcessImage.Adopt(ProgramNumber));
        ProcessImage.StartSession();
        ProcessImage.ChangeDirectory("/");
        PreferOverGuests();
        var log = new ShimLog(LogTarget.StandardError(), arguments.Debug);
        var options = new PodOptions
        {
            Namespace = arguments.Namespace,
            PodId = arguments.Id,
            Paths = paths,
            EventsAddress = Environment.GetEnvironmentVariable("TTRPC_ADDRESS") ?? "",
            Log = log,
            ReadConfig = ShimConfig.Read,
            StartMachine = PodMachine.StartAsync,
        };
        await using (var server = new ShimServer(options, tasks, streams))
        {
            using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, server));
            using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, server));
            Task running = server.RunAsync();
            TellReady();
            await running.ConfigureAwait(false);
            // Before the rest: who starts the pod anew must not be sent to a shim that is on its way out.
            paths.Remove();
        }

        paths.Remove();
    }

    private static void Stop(PosixSignalContext context, ShimServer server)
    {
        // Ended in order: what the pod took from the host is given back.
        context.Cancel = true;
        server.Stop();
    }

    private static Socket Adopt(int number)
    {
        using FileDescriptor descriptor = ProcessImage.Adopt(number);
        var socket = new Socket(new SafeSocketHandle(descriptor.Number, ownsHandle: true));
        descriptor.SetHandleAsInvalid();
        // It listens already. By this it is this process that is named to who connects (SO_PEERCRED).
        socket.Listen(Backlog);
        return socket;
    }

    private static void TellReady()
    {
        using FileDescriptor ready = ProcessImage.Adopt(ReadyNumber);
        Pipe.WriteAll(ready, System.Text.Encoding.ASCII.GetBytes(Ready));
    }

    // When the host runs out of memory a guest should end, and the shim be there to clean up after it.
    private static void PreferOverGuests()
    {
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "-998");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It stays as it was inherited.
        }
    }
}
