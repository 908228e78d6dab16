using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hearth.Linux;

namespace Hearth.Network.Cni;

/// <summary>What a plugin is called with, beside its configuration. Source: CNI specification, "Parameters".</summary>
/// <param name="Command">ADD, DEL, CHECK, GC, STATUS, VERSION.</param>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="NamespacePath">CNI_NETNS.</param>
/// <param name="Interface">CNI_IFNAME.</param>
/// <param name="Arguments">CNI_ARGS.</param>
internal sealed record CniCall(string Command, string ContainerId = "", string NamespacePath = "", string Interface = "", string Arguments = "");

/// <summary>Runs plugins: programs that read their configuration and print a result or an error. Thread: any.</summary>
internal sealed class CniPlugins(IReadOnlyList<string> folders, TimeSpan timeLimit)
{
    private const int MostOutputBytes = 4 << 20;
    private const int ErrorTail = 500;
    private const string SystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private string SearchPath => string.Join(':', folders);

    /// <exception cref="CniException">No folder has it.</exception>
    public string Find(string type)
    {
        foreach (string folder in folders)
        {
            string path = Path.Combine(folder, type);
            if (File.Exists(path))
            {
                return path;
            }
        }

        throw new CniException(
            $"The CNI plugin \"{type}\" is in none of the folders {string.Join(", ", folders)} (network.cni_bin): the common ones are in Debian's package containernetworking-plugins.");
    }

    /// <returns>What the plugin printed.</returns>
    /// <exception cref="CniException">It is missing, failed, said an error or took too long.</exception>
    public async Task<byte[]> RunAsync(string type, CniCall call, JsonObject configuration, string network, CancellationToken cancellation)
    {
        string path = Find(type);
        string what = $"CNI plugin {type} (network {network}{(call.Interface.Length > 0 ? $", interface {call.Interface}" : "")})";
        var start = new ProcessStartInfo(path)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment["CNI_COMMAND"] = call.Command;
        start.Environment["CNI_CONTAINERID"] = call.ContainerId;
        start.Environment["CNI_NETNS"] = call.NamespacePath;
        start.Environment["CNI_IFNAME"] = call.Interface;
        start.Environment["CNI_ARGS"] = call.Arguments;
        start.Environment["CNI_PATH"] = SearchPath;
        // Plugins run iptables and others, which a daemon's PATH may lack.
        start.Environment["PATH"] = start.Environment.TryGetValue("PATH", out string? search) && !string.IsNullOrEmpty(search) ? $"{search}:{SystemPath}" : SystemPath;

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeLimit);
        bool overflow = false;
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new CniException($"{what} cannot be started from {path}: {e.Message}.", cause: e);
        }

        // A plugin that is not read any more does not end by itself.
        async Task<byte[]> ReadAsync(Stream stream, CancellationTokenSource end)
        {
            var content = new MemoryStream();
            byte[] buffer = new byte[16 << 10];
            int count;
            while ((count = await stream.ReadAsync(buffer, end.Token).ConfigureAwait(false)) > 0)
            {
                if (content.Length + count > MostOutputBytes)
                {
                    overflow = true;
                    await end.CancelAsync().ConfigureAwait(false);
                }

                content.Write(buffer, 0, count);
            }

            return content.ToArray();
        }

        using (process)
        {
            using var streams = new RedirectedStreams(process);
            try
            {
                Task<byte[]> output = ReadAsync(process.StandardOutput.BaseStream, limit);
                Task<byte[]> errors = ReadAsync(process.StandardError.BaseStream, limit);
                await WriteAsync(process, configuration, limit.Token).ConfigureAwait(false);
                await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
                byte[] printed = await output.ConfigureAwait(false);
                return process.ExitCode == 0 ? printed : throw Failure(what, call.Command, process.ExitCode, printed, await errors.ConfigureAwait(false));
            }
            catch (OperationCanceledException e)
            {
                End(process);
                cancellation.ThrowIfCancellationRequested();
                throw new CniException(
                    overflow
                        ? $"{what} printed more than {MostOutputBytes} bytes on {call.Command}, and was ended."
                        : $"{what} did not finish {call.Command} within {timeLimit.TotalSeconds:0.#} seconds, and was ended.",
                    cause: e);
            }
        }
    }

    private static async Task WriteAsync(Process process, JsonObject configuration, CancellationToken cancellation)
    {
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(Encoding.UTF8.GetBytes(configuration.ToJsonString()), cancellation).ConfigureAwait(false);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading: what it says is in its output.
        }
    }

    private static void End(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // It has ended by itself.
        }
    }

    private static CniException Failure(string what, string command, int exitCode, byte[] output, byte[] errors)
    {
        try
        {
            if (JsonNode.Parse(output) is JsonObject error && Text(error, "msg") is { Length: > 0 } message)
            {
                int code = error["code"]?.GetValueKind() == JsonValueKind.Number && error["code"]!.AsValue().TryGetValue(out int number) ? number : 0;
                string details = Text(error, "details") is { Length: > 0 } more ? $": {more}" : "";
                return new CniException($"{what} failed on {command}: {message.TrimEnd('.', '\n')}{details.TrimEnd('.', '\n')} (code {code}).", code);
            }
        }
        catch (JsonException)
        {
            // Not in the form of an error: whatever it printed is shown.
        }

        string said = Encoding.UTF8.GetString(errors.Length > 0 ? errors : output).Trim();
        if (said.Length > ErrorTail)
        {
            said = "…" + said[^ErrorTail..];
        }

        return new CniException($"{what} failed on {command}: exit code {exitCode}{(said.Length > 0 ? $", saying: {said}" : " without a word")}.");
    }

    private static string? Text(JsonObject json, string key) => json[key]?.GetValueKind() == JsonValueKind.String ? json[key]!.GetValue<string>() : null;
}
