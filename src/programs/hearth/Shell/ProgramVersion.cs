using System.CommandLine;
using System.Reflection;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Programs.Hearth.Shell;

/// <summary><c>hearth version</c>: this program's, and the daemon's.</summary>
internal static class ProgramVersion
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    public static string Own { get; } = typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    public static Command Create()
    {
        Option<string> format = CommonOptions.Format();
        var command = new Command("version", "Says this program's version, and the daemon's if it runs") { format };
        command.SetAction(async (result, cancellation) =>
        {
            var settings = Settings.Of(result);
            VersionResponse? daemon = await DaemonAsync(settings, cancellation);
            if (result.GetValue(format) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Write(json =>
                {
                    json.WriteStartObject();
                    json.WriteString("client", Own);
                    Json.WriteMessage(json, "server", daemon);
                    json.WriteEndObject();
                }));
            }
            else
            {
                Console.WriteLine($"hearth   {Own}");
                Console.WriteLine(daemon is null ? $"hearthd  does not answer at {settings.Socket}" : $"hearthd  {daemon.RuntimeVersion} ({daemon.RuntimeName}, CRI {daemon.RuntimeApiVersion})");
            }
        });
        return command;
    }

    private static async Task<VersionResponse?> DaemonAsync(Settings settings, CancellationToken cancellation)
    {
        try
        {
            using var daemon = DaemonClient.Unchecked(settings);
            return await daemon.Runtime.VersionAsync(new VersionRequest(), deadline: DateTime.UtcNow + s_patience, cancellationToken: cancellation);
        }
        catch (RpcException)
        {
            return null;
        }
    }
}
