using System.Buffers;
using System.Text.Json;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Machine;
using Hearth.Ttrpc;

namespace Hearth.Shim.Specs;

/// <summary>
/// A bundle's hooks, run on the host as an OCI runtime does: the state on their standard input, their own time limit. Those
/// that would run in the container (createContainer, startContainer) cannot: their programs are the host's.
/// Source: runtime-spec config.md, POSIX-platform Hooks.
/// </summary>
/// <param name="hooks">The bundle's; null for none.</param>
/// <param name="state">Whose they are.</param>
/// <param name="tell">Takes what should be known and fails nothing.</param>
internal sealed class HostHooks(HooksSpec? hooks, HookState state, Action<string> tell)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(10);

    /// <exception cref="TtrpcException">InvalidArgument: there are hooks that cannot run.</exception>
    public void Check()
    {
        if (hooks is { CreateContainer.Count: > 0 } or { StartContainer.Count: > 0 })
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "Hooks of the kinds createContainer and startContainer cannot run in the guest: their programs are the host's.");
        }
    }

    /// <summary>Before the container is made.</summary>
    /// <exception cref="TtrpcException">One of them failed; the container is not to be made.</exception>
    public async Task RunBeforeAsync(int pid)
    {
        foreach (HookSpec hook in (hooks?.Prestart ?? []).Concat(hooks?.CreateRuntime ?? []))
        {
            if (await Task.Run(() => Run(hook, "creating", pid)).ConfigureAwait(false) is { } failure)
            {
                throw new TtrpcException(StatusCode.Unknown, failure);
            }
        }
    }

    /// <summary>After its first process was started.</summary>
    public Task RunStartedAsync(int pid) => RunAllAsync(hooks?.Poststart ?? [], "running", pid);

    /// <summary>After it was removed.</summary>
    public Task RunStoppedAsync() => RunAllAsync(hooks?.Poststop ?? [], "stopped", 0);

    private async Task RunAllAsync(IReadOnlyList<HookSpec> list, string status, int pid)
    {
        foreach (HookSpec hook in list)
        {
            if (await Task.Run(() => Run(hook, status, pid)).ConfigureAwait(false) is { } failure)
            {
                tell(failure);
            }
        }
    }

    // Blocks. Null: it ended well.
    private string? Run(HookSpec hook, string status, int pid)
    {
        TimeSpan limit = hook.Timeout is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : s_longest;
        try
        {
            return ChildRun.Run(ManagerProgram.Enter(hook.Path), hook.Args.Count == 0 ? [hook.Path] : hook.Args, hook.Env, state.ToJson(status, pid), limit) switch
            {
                { InTime: false } => $"The hook {hook.Path} did not end in {limit.TotalSeconds} s.",
                { Status: 0 } => null,
                var end => $"The hook {hook.Path} ended with {end.Status}: {end.Output}",
            };
        }
        catch (LinuxException e)
        {
            return $"The hook {hook.Path} cannot be run: {e.Message}";
        }
    }
}

/// <summary>What hooks are told of their container. Source: runtime-spec runtime.md, State.</summary>
internal sealed record HookState(string OciVersion, string Id, string Bundle, IReadOnlyDictionary<string, string> Annotations)
{
    public byte[] ToJson(string status, int pid)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("ociVersion", OciVersion);
            json.WriteString("id", Id);
            json.WriteString("status", status);
            if (pid > 0)
            {
                json.WriteNumber("pid", pid);
            }

            json.WriteString("bundle", Bundle);
            json.WriteStartObject("annotations");
            foreach ((string name, string value) in Annotations)
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
