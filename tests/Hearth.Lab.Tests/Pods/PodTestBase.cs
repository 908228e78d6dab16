using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>A test of pods: the daemon is there before it, and what it made is gone after it, counted.</summary>
[Collection(PodCollection.Name)]
public abstract class PodTestBase(PodLab lab) : IAsyncLifetime
{
    private readonly List<string> _pods = [];
    private HostState? _before;

    private protected PodLab Lab => lab;

    private protected CriClient Client => lab.Client;

    public async ValueTask InitializeAsync()
    {
        await lab.ReadyAsync();
        await Client.PullAsync(lab.Busybox);
        _before = lab.Count();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_before is null)
        {
            return;
        }

        foreach (string pod in _pods)
        {
            await Client.RemovePodAsync(pod);
        }

        if (TestContext.Current.TestState?.Result == TestResult.Failed)
        {
            TestContext.Current.SendDiagnosticMessage("{0}", lab.Log);
            Console.Error.WriteLine($"hearthd, up to the failure of {TestContext.Current.Test?.TestDisplayName}:\n{Tail(lab.Log)}");
        }

        await lab.NothingLeftAsync(_before);
    }

    /// <summary>Runs a pod, which is removed after the test.</summary>
    private protected async Task<string> RunPodAsync(PodSandboxConfig config, string handler = "")
    {
        string id = await Client.RunPodAsync(config, handler);
        _pods.Add(id);
        return id;
    }

    /// <summary>A pod with one idle container.</summary>
    private protected async Task<(string Pod, string Container, PodSandboxConfig Config)> RunIdlePodAsync(string name, Action<ContainerConfig>? change = null)
    {
        PodSandboxConfig config = lab.Pod(name);
        string pod = await RunPodAsync(config);
        ContainerConfig container = lab.Idle("main");
        change?.Invoke(container);
        return (pod, await Client.RunContainerAsync(pod, config, container), config);
    }

    /// <summary>The lines of a container's log without time, as <c>stdout F text</c>.</summary>
    private protected static string[] LogLines(string path) => File.Exists(path) ? [.. File.ReadAllLines(path).Select(static line => line[(line.IndexOf(' ') + 1)..])] : [];

    /// <summary>Polls with a deadline.</summary>
    private protected static Task UntilAsync(Func<Task<bool>> condition, string what) => UntilAsync(condition, () => what);

    private protected static async Task UntilAsync(Func<Task<bool>> condition, Func<string> what)
    {
        DateTime deadline = CriClient.Deadline;
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < deadline, $"waited too long for {what()}");
            await Task.Delay(100);
        }
    }

    private protected static Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), what);

    /// <summary>All messages of a stream that ends by itself.</summary>
    private protected static async Task<List<T>> AllAsync<T>(AsyncServerStreamingCall<T> call)
    {
        var all = new List<T>();
        await foreach (T message in call.ResponseStream.ReadAllAsync())
        {
            all.Add(message);
        }

        return all;
    }

    private static string Tail(string text) => text[Math.Max(0, text.Length - 12000)..];
}
