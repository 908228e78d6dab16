using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
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

    private async Task<string?> RunAsync(HookSpec hook, string status, int pid)
    {
        using var patience = new CancellationTokenSource(hook.Timeout is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : s_longest);
        var start = new ProcessStartInfo(hook.Path, hook.Args.Skip(1)) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        foreach (string variable in hook.Env)
        {
            int equals = variable.IndexOf('=');
            start.Environment[equals < 0 ? variable : variable[..equals]] = equals < 0 ? "" : variable[(equals + 1)..];
        }

        try
        {
            using Process process = Process.Start(start)!;
            try
            {
                Task<string> said = process.StandardError.ReadToEndAsync(patience.Token);
                Task<string> output = process.StandardOutput.ReadToEndAsync(patience.Token);
                await TellAsync(process, State(status, pid), patience.Token);
                await process.WaitForExitAsync(patience.Token);
                return process.ExitCode == 0 ? null : $"The hook {hook.Path} ended with {process.ExitCode}: {(await said).Trim()} {(await output).Trim()}".Trim();
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                return $"The hook {hook.Path} did not end in its time.";
            }
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            return $"The hook {hook.Path} cannot be run: {e.Message}";
        }
    }

    // One that does not care may have ended without having read it.
    private static async Task TellAsync(Process process, string state, CancellationToken cancellation)
    {
        try
        {
            await process.StandardInput.WriteAsync(state.AsMemory(), cancellation);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
        }
    }

    private string State(string status, int pid)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            StateDocument.Write(json, spec.OciVersion, id, status, pid, bundle, spec.Annotations);
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }
}
