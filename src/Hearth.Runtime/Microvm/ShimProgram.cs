using System.Diagnostics;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Runtime.Pods;
using Hearth.Shim.Protocol;

namespace Hearth.Runtime.Handlers;

/// <summary>Runs hearth-shim's two commands: <c>start</c> and <c>delete</c>. Thread: any.</summary>
internal sealed class ShimProgram(HearthConfig config, string? configPath)
{
    /// <summary>What Hearth's own pods are under; containerd's are under its own.</summary>
    private const string Namespace = "hearth";

    private static readonly TimeSpan s_deleteTime = TimeSpan.FromMinutes(2);

    /// <summary>Starts a pod's shim.</summary>
    /// <returns>The path of its socket.</returns>
    public async Task<string> StartAsync(string id, string bundle, CancellationToken cancellation)
    {
        string[] debug = config.Daemon.LogLevel is "debug" or "trace" ? ["-debug"] : [];
        string printed = await RunAsync(["-namespace", Namespace, "-id", id, "-address", config.Daemon.Socket, "-publish-binary", "", .. debug, "start"], bundle, cancellation).ConfigureAwait(false);
        try
        {
            string address = ShimAddress.Parse(printed).Address;
            return address.StartsWith("unix://", StringComparison.Ordinal) ? address["unix://".Length..] : address;
        }
        catch (FormatException e)
        {
            throw new PodException(PodFault.Internal, e.Message, e);
        }
    }

    /// <summary>Ends and removes what is left of a pod. Doing it twice is no error.</summary>
    public async Task DeleteAsync(string id, string bundle, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_deleteTime);
        await RunAsync(["-namespace", Namespace, "-id", id, "-bundle", bundle, "delete"], bundle, limit.Token).ConfigureAwait(false);
    }

    private async Task<string> RunAsync(string[] arguments, string folder, CancellationToken cancellation)
    {
        string program = ProgramPath.Find(config.Microvm.Shim)
            ?? throw new PodException(PodFault.FailedPrecondition, $"There is no program \"{config.Microvm.Shim}\" (microvm.shim).");
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["MAX_SHIM_VERSION"] = "2";
        start.Environment.Remove("TTRPC_ADDRESS");
        if (configPath is not null)
        {
            start.Environment["HEARTH_CONFIG"] = configPath;
        }

        using Process process = Process.Start(start) ?? throw new PodException(PodFault.Internal, $"{program} cannot be started.");
        using var streams = new RedirectedStreams(process);
        try
        {
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellation);
            Task<string> errors = process.StandardError.ReadToEndAsync(cancellation);
            string printed = await output.ConfigureAwait(false);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            if (process.ExitCode != 0)
            {
                string said = (await errors.ConfigureAwait(false)).Trim();
                throw new PodException(PodFault.Internal, $"hearth-shim {arguments[^1]} ended with {process.ExitCode}{(said.Length == 0 ? "" : $": {said}")}");
            }

            return printed;
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: false);
            throw;
        }
    }
}
