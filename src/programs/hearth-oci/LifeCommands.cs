using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary><c>start kill delete pause resume update</c>, and what the others ask: how a container is.</summary>
internal static class LifeCommands
{
    private const uint Kill = 9;
    private static readonly TimeSpan s_killPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_endPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_endPause = TimeSpan.FromMilliseconds(10);

    public static async Task StartAsync(ContainerState state, StateFolder states)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        try
        {
            await shim.StartAsync(state.Id);
        }
        catch (TtrpcException)
        {
            await EndOfStandInAsync(shim, state);
            throw;
        }

        await HooksOf(state, states).RunStartedAsync(state.Pid);
    }

    // Docker deletes at once what did not start, and leaves it for good if it has not seen its process end by then: that it has ended is
    // not enough, its parent must have waited for it.
    private static async Task EndOfStandInAsync(ShimClient shim, ContainerState state)
    {
        try
        {
            if ((await shim.StateAsync(state.Id)).Status != Status.Stopped)
            {
                return;
            }
        }
        catch (TtrpcException)
        {
            // The shim is at its end, and so is the process.
        }

        for (long start = Stopwatch.GetTimestamp(); HostProcess.IsAwaited(state) && Stopwatch.GetElapsedTime(start) < s_endPatience;)
        {
            await Task.Delay(s_endPause);
        }
    }

    public static async Task SignalAsync(ContainerState state, string signal, bool all)
    {
        if (await StatusAsync(state) is "stopped")
        {
            // In runc's words: managers look for them.
            throw new OciException("container not running");
        }

        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        await shim.KillAsync(state.Id, SignalNumbers.Parse(signal), all);
    }

    public static async Task PauseAsync(ContainerState state)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        await shim.PauseAsync(state.Id);
    }

    public static async Task ResumeAsync(ContainerState state)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        await shim.ResumeAsync(state.Id);
    }

    public static async Task UpdateAsync(ContainerState state, byte[] resources)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        await shim.UpdateAsync(state.Id, resources);
    }

    /// <summary>Removes a container that has ended; with force, one that has not.</summary>
    public static async Task DeleteAsync(StateFolder states, string id, bool force)
    {
        if (states.TryRead(id) is not { } state)
        {
            if (!force)
            {
                throw new OciException($"container does not exist: {id}");
            }

            // A create that was killed may have left a machine.
            if (states.HasBundle(id))
            {
                await new ShimCommands(states).DeleteAsync(id);
            }

            states.Remove(id);
            return;
        }

        string status = await StatusAsync(state);
        if (status is not "stopped")
        {
            if (!force && status != "created")
            {
                throw new OciException($"cannot delete container {id} that is not stopped: {status}");
            }

            await KillAsync(state);
        }

        ContainerHooks hooks = HooksOf(state, states);
        await ForgetAsync(state);
        // By its own name: the pod's would be another container's, which goes on.
        await new ShimCommands(states).DeleteAsync(id);
        // The machine may be in one of them, and go on for others.
        states.PassOn(state, [.. state.LeftCgroups.Append(state.Cgroup).OfType<string>().Where(static cgroup => !StandInCgroup.Leave(cgroup))]);
        await hooks.RunStoppedAsync();
        states.Remove(id);
    }

    /// <summary>creating, created, running, paused or stopped.</summary>
    public static async Task<string> StatusAsync(ContainerState state)
    {
        // Its end is what managers wait for, and comes last.
        if (!HostProcess.IsThere(state))
        {
            return "stopped";
        }

        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
            return (await shim.StateAsync(state.Id)).Status switch
            {
                Status.Created => "created",
                Status.Paused or Status.Pausing => "paused",
                Status.Stopped => "stopped",
                _ => "running",
            };
        }
        catch (Exception e) when (e is TtrpcException or SocketException)
        {
            return "stopped";
        }
    }

    private static async Task KillAsync(ContainerState state)
    {
        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
            Task<WaitResponse> end = shim.WaitAsync(state.Id);
            await shim.KillAsync(state.Id, Kill, all: true);
            await end.WaitAsync(s_killPatience);
        }
        catch (Exception e) when (e is TtrpcException or SocketException or TimeoutException)
        {
            // The shim's delete ends it, and the machine with the last one.
        }
    }

    private static async Task ForgetAsync(ContainerState state)
    {
        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
            await shim.DeleteAsync(state.Id);
            await shim.ShutdownAsync(state.Id);
        }
        catch (Exception e) when (e is TtrpcException or SocketException)
        {
            // It is gone already, or the machine is ended below.
        }
    }

    private static ContainerHooks HooksOf(ContainerState state, StateFolder states)
    {
        string config = Path.Combine(state.Bundle, "config.json");
        try
        {
            return new ContainerHooks(RuntimeSpec.Parse(File.ReadAllBytes(config)), state.Id, state.Bundle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Text.Json.JsonException)
        {
            // The manager has removed the bundle, and its hooks with it.
            return new ContainerHooks(states.SpecOf(state.Id), state.Id, state.Bundle);
        }
    }
}

/// <summary>Signals by name or number. Source: signal(7), x86-64.</summary>
internal static class SignalNumbers
{
    private static readonly string[] s_names =
    [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    public static uint Parse(string text)
    {
        string name = text.TrimStart('-').ToUpperInvariant();
        name = name.StartsWith("SIG", StringComparison.Ordinal) ? name[3..] : name;
        uint number = uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint given) ? given
            : name == "RTMIN" ? 34
            : name.StartsWith("RTMIN+", StringComparison.Ordinal) && uint.TryParse(name[6..], out uint up) ? 34 + up
            : (uint)(Array.IndexOf(s_names, name) + 1);
        return number is > 0 and <= 64 ? number : throw new OciException($"\"{text}\" is no signal.");
    }
}
