using System.Text.Json;
using Hearth.Linux;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>
/// A bundle's hooks, run on this host with the state on their standard input. Those that would run in the container cannot: their
/// programs are this host's. Source: runtime-spec config.md, POSIX-platform Hooks.
/// </summary>
internal sealed class ContainerHooks(RuntimeSpec spec, string id, string bundle)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(10);

    /// <summary>Before the machine is made: a manager puts the network into the namespace of this process.</summary>
    /// <exception cref="OciException">One of them failed, or cannot be run.</exception>
    public async Task RunBeforeAsync(int pid)
    {
        if (spec.Hooks is { CreateContainer.Count: > 0 } or { StartContainer.Count: > 0 })
        {
            throw new OciException("Hooks of the kinds createContainer and startContainer cannot run in a microVM: their programs are this host's.");
        }

        foreach (HookSpec hook in (spec.Hooks?.Prestart ?? []).Concat(spec.Hooks?.CreateRuntime ?? []))
        {
            if (await RunAsync(hook, "creating", pid) is { } failure)
            {
                throw new OciException(failure);
            }
        }
    }

    public Task RunStartedAsync(int pid) => RunAllAsync(spec.Hooks?.Poststart, "running", pid);

    public Task RunStoppedAsync() => RunAllAsync(spec.Hooks?.Poststop, "stopped", 0);

    private async Task RunAllAsync(IReadOnlyList<HookSpec>? hooks, string status, int pid)
    {
        foreach (HookSpec hook in hooks ?? [])
        {
            if (await RunAsync(hook, status, pid) is { } failure)
            {
                Console.Error.WriteLine($"hearth-oci: {failure}");
            }
        }
    }

    // The first argument need not be the program: Docker's hook is dockerd under another name.
    private Task<string?> RunAsync(HookSpec hook, string status, int pid) => Task.Run(() =>
    {
        TimeSpan limit = hook.Timeout is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : s_longest;
        try
        {
            return ChildRun.Run(hook.Path, hook.Args.Count == 0 ? [hook.Path] : hook.Args, hook.Env, State(status, pid), limit) switch
            {
                { InTime: false } => $"The hook {hook.Path} did not end in its time.",
                { Status: 0 } => null,
                var end => $"The hook {hook.Path} ended with {end.Status}: {end.Output}".TrimEnd(' ', ':'),
            };
        }
        catch (LinuxException e)
        {
            return $"The hook {hook.Path} cannot be run: {e.Message}";
        }
    });

    private byte[] State(string status, int pid)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            StateDocument.Write(json, spec.OciVersion, id, status, pid, bundle, spec.Annotations);
        }

        return text.ToArray();
    }
}
