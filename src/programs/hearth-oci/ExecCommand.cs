using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Programs.Oci;

/// <summary><c>exec</c>: a further process in a running container.</summary>
internal static class ExecCommand
{
    /// <returns>The process's exit status; 0 for one that goes on without this.</returns>
    public static async Task<int> RunAsync(StateFolder states, Arguments arguments)
    {
        ContainerState state = states.Read(arguments.Id());
        ProcessSpec process = Process(state, states, arguments);
        bool detached = arguments.Flag("detach", "d");
        string? consoleSocket = arguments.Value("console-socket");
        if (process.Terminal && consoleSocket is null && detached)
        {
            throw new OciException("The process has a terminal and is not waited for, so exec needs --console-socket.");
        }

        string execId = Guid.NewGuid().ToString("N");
        var task = new StandInTask(state.Shim, state.Id, execId, states.Of(state.Id), process.Terminal);
        using Fifos? own = detached ? null : Fifos.Create(task.Folder, task.FifoName, process.Terminal);
        Fifos fifos = own ?? Fifos.Create(task.Folder, task.FifoName, process.Terminal);
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        using StandInLaunch? standIn = detached ? StandInLaunch.Start(process.Terminal ? consoleSocket : null, network: null) : null;
        await shim.ExecAsync(new ExecProcessRequest
        {
            Id = state.Id,
            ExecId = execId,
            Terminal = process.Terminal,
            Stdin = fifos.Stdin,
            Stdout = fifos.Stdout,
            Stderr = fifos.Stderr,
            Spec = new Any { TypeUrl = TaskServices.ProcessType, Value = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec)) },
        });
        try
        {
            if (standIn is null)
            {
                return await StandIn.StandAsync(task, () => shim.StartAsync(state.Id, execId));
            }

            await Task.Run(() => StandIn.Tell(standIn.Control, task));
            await shim.StartAsync(state.Id, execId);
        }
        catch
        {
            standIn?.Kill();
            await StandIn.ForgetAsync(shim, task);
            if (own is null)
            {
                fifos.Dispose();
            }

            throw;
        }

        if (arguments.Value("pid-file") is { } file)
        {
            await File.WriteAllTextAsync(file, standIn.Pid.ToString(CultureInfo.InvariantCulture));
        }

        return 0;
    }

    private static ProcessSpec Process(ContainerState state, StateFolder states, Arguments arguments)
    {
        if (arguments.Value("process", "p") is { } path)
        {
            try
            {
                return JsonSerializer.Deserialize(File.ReadAllBytes(path), RuntimeJson.Default.ProcessSpec) ?? throw new JsonException("it is null");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
            {
                throw new OciException($"{path} is no process: {e.Message}", e);
            }
        }

        if (arguments.Operands.Count < 2)
        {
            throw new OciException("exec needs a command, or --process.");
        }

        // As the container's own process, with what the command line says otherwise.
        ProcessSpec container = states.SpecOf(state.Id).Process!;
        return container with
        {
            Args = [.. arguments.Operands.Skip(1)],
            Terminal = arguments.Flag("tty", "t"),
            Env = [.. container.Env, .. arguments.Values("env", "e")],
            Cwd = arguments.Value("cwd") ?? container.Cwd,
            User = arguments.Value("user", "u") is { } user ? User(user) : container.User,
        };
    }

    private static UserSpec User(string text)
    {
        string[] parts = text.Split(':');
        return uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint uid) && uint.TryParse(parts.ElementAtOrDefault(1) ?? "0", NumberStyles.None, CultureInfo.InvariantCulture, out uint gid)
            ? new UserSpec { Uid = uid, Gid = gid }
            : throw new OciException($"\"{text}\" is no user: UID or UID:GID.");
    }
}
