using System.CommandLine;
using System.CommandLine.Completions;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Images.Store;
using Hearth.Linux;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Shell;

/// <summary>What a shell completes arguments with, when it asks: the names of what is there. It must neither start anything nor fail.</summary>
internal static class Suggestions
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    public static IEnumerable<CompletionItem> Containers(CompletionContext context) => Ask(context.ParseResult, daemon =>
        daemon.Runtime.ListContainers(new ListContainersRequest(), deadline: DateTime.UtcNow + s_patience).Containers.Select(container => container.Metadata.Name));

    public static IEnumerable<CompletionItem> Pods(CompletionContext context) => Ask(context.ParseResult, daemon =>
        daemon.Runtime.ListPodSandbox(new ListPodSandboxRequest(), deadline: DateTime.UtcNow + s_patience).Items.Select(pod => pod.Metadata.Name));

    public static IEnumerable<CompletionItem> Images(CompletionContext context)
    {
        try
        {
            return [.. new ImageStore(Settings.Of(context.ParseResult).ImagesFolder).List().SelectMany(image => image.Tags).Distinct().Select(tag => new CompletionItem(tag))];
        }
        catch (Exception e) when (e is HearthException or IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static IEnumerable<CompletionItem> Ask(ParseResult result, Func<DaemonClient, IEnumerable<string>> names)
    {
        try
        {
            using var daemon = DaemonClient.Unchecked(Settings.Of(result));
            return [.. names(daemon).Distinct().Select(name => new CompletionItem(name))];
        }
        catch (Exception e) when (e is HearthException or IOException or RpcException)
        {
            return [];
        }
    }
}
