using System.ComponentModel;
using System.Diagnostics;
using Hearth.Configuration;
using Hearth.Shim.Protocol;

namespace Hearth.Programs.Oci;

/// <summary>hearth-shim's own commands, for containers of OCI managers.</summary>
/// <param name="states">The folder of all containers: the same id in another is another container.</param>
internal sealed class ShimCommands(StateFolder states)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>Starts a pod's shim, or finds it.</summary>
    /// <returns>Where it listens.</returns>
    /// <exception cref="OciException">It does not come up.</exception>
    public async Task<string> StartAsync(string id)
    {
        string printed = await RunAsync(states.BundleOf(id), ["-namespace", Namespace, "-id", id, "-address", "", "-publish-binary", "", "start"]);
        try
        {
            return ShimAddress.Parse(printed).Address;
        }
        catch (FormatException e)
        {
            throw new OciException(e.Message, e);
        }
    }

    /// <summary>Ends and removes what is left of a pod.</summary>
    public Task DeleteAsync(string id) =>
        RunAsync(states.BundleOf(id), ["-namespace", Namespace, "-id", id, "-bundle", states.BundleOf(id), "delete"]);

    // What these containers' shims are under, apart from other managers'.
    private string Namespace => $"hearth-oci:{states.Root}";

    /// <summary>The shim's program.</summary>
    /// <exception cref="ConfigException">hearth.toml is none.</exception>
    /// <exception cref="OciException">There is no such program.</exception>
    public static string Find()
    {
        string shim = HearthConfig.Load(Environment.GetEnvironmentVariable("HEARTH_CONFIG")).Microvm.Shim;
        return ProgramPath.Find(shim) ?? throw new OciException($"There is no program \"{shim}\" (microvm.shim in hearth.toml) beside hearth-oci or on PATH.");
    }

    private static async Task<string> RunAsync(string folder, string[] arguments)
    {
        string program = Find();
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Remove("TTRPC_ADDRESS");
        using Process process = Start(start);
        using var patience = new CancellationTokenSource(s_patience);
        process.StandardInput.Close();
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(patience.Token);
            string printed = await process.StandardOutput.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            return process.ExitCode == 0 ? printed : throw new OciException($"{Path.GetFileName(program)} {arguments[^1]}: {(await errors).Trim()}");
        }
        catch (OperationCanceledException e)
        {
            process.Kill();
            throw new OciException($"{Path.GetFileName(program)} {arguments[^1]} did not end in {s_patience.TotalSeconds} s.", e);
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new OciException($"{start.FileName} (microvm.shim in hearth.toml) cannot be started: {e.Message}", e);
        }
    }
}
