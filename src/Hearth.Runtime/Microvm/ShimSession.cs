using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Runtime.Handlers;

/// <summary>A process's streams by the shim's stream socket. Thread: as <see cref="IProcessSession"/>.</summary>
internal sealed class ShimSession : IProcessSession
{
    private const string Held = "stream://";

    private readonly ShimClient _client;
    private readonly string _containerId;
    private readonly string _execId;
    private readonly Action<string> _log;
    private Task<WaitResponse>? _ended;
    private int _disposed;

    private ShimSession(ShimClient client, string containerId, string execId, Action<string> log)
    {
        _client = client;
        _containerId = containerId;
        _execId = execId;
        _log = log;
    }

    public Stream? Stdin { get; private set; }

    public Stream? Stdout { get; private set; }

    public Stream? Stderr { get; private set; }

    /// <summary>Makes and starts a process in a container.</summary>
    public static async Task<IProcessSession> ExecAsync(
        ShimClient client, string id, ProcessSpec process, ExecOptions options, Action<string> log, CancellationToken cancellation)
    {
        string execId = Guid.NewGuid().ToString("N");
        var session = new ShimSession(client, id, execId, log);
        bool stdout = options.Stdout || options.Tty;
        await client.ExecAsync(
            new Shim.Protocol.Tasks.ExecProcessRequest
            {
                Id = id,
                ExecId = execId,
                Terminal = options.Tty,
                Stdin = options.Stdin ? Held : "",
                Stdout = stdout ? Held : "",
                Stderr = options.Stderr && !options.Tty ? Held : "",
                Spec = new Any { TypeUrl = TaskServices.ProcessType, Value = UnsafeByteOperations.UnsafeWrap(JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec)) },
            },
            cancellation).ConfigureAwait(false);
        try
        {
            await client.StartAsync(id, execId, cancellation).ConfigureAwait(false);
            session._ended = client.WaitAsync(id, execId, CancellationToken.None);
            await session.OpenAsync(options.Stdin, stdout, options.Stderr && !options.Tty, cancellation).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Joins a container's first process.</summary>
    public static async Task<IProcessSession> AttachAsync(
        ShimClient client, Pods.Container container, AttachOptions options, Action<string> log, CancellationToken cancellation)
    {
        var session = new ShimSession(client, container.Id, "", log) { _ended = client.WaitAsync(container.Id, "", CancellationToken.None) };
        try
        {
            await session.OpenAsync(options.Stdin, options.Stdout, options.Stderr, cancellation).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task ResizeAsync(uint columns, uint rows, CancellationToken cancellation = default)
    {
        try
        {
            await _client.ResizePtyAsync(_containerId, _execId, columns, rows, cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code is StatusCode.NotFound or StatusCode.FailedPrecondition or StatusCode.Unavailable)
        {
            // It has ended, or has no terminal.
        }
    }

    public async Task<int> WaitAsync(CancellationToken cancellation = default)
    {
        try
        {
            WaitResponse ended = await _ended!.WaitAsync(cancellation).ConfigureAwait(false);
            return (int)ended.ExitStatus;
        }
        catch (TtrpcException e)
        {
            throw State.Failures.Of(e, "Waiting for the process");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        foreach (Stream? stream in new[] { Stdin, Stdout, Stderr })
        {
            if (stream is not null)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        if (_execId.Length > 0)
        {
            await ForgetAsync().ConfigureAwait(false);
        }
        else if (_ended is { } ended)
        {
            // Nobody waits for it any more; its failure is nobody's.
            _ = ended.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private async Task ForgetAsync()
    {
        try
        {
            if (_ended is { } ended)
            {
                if (!ended.IsCompleted)
                {
                    await _client.KillAsync(_containerId, Specs.Signals.Kill, all: false, _execId).ConfigureAwait(false);
                }

                await ended.ConfigureAwait(false);
            }

            await _client.DeleteAsync(_containerId, _execId).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code is StatusCode.NotFound or StatusCode.Unavailable)
        {
            // It went with its container.
        }
        catch (TtrpcException e)
        {
            _log($"A process of container {_containerId} cannot be removed: {e.Message}");
        }
    }

    private async Task OpenAsync(bool stdin, bool stdout, bool stderr, CancellationToken cancellation)
    {
        Stdout = stdout ? await OpenAsync(StdioStream.Stdout, cancellation).ConfigureAwait(false) : null;
        Stderr = stderr ? await OpenAsync(StdioStream.Stderr, cancellation).ConfigureAwait(false) : null;
        Stdin = stdin ? await OpenAsync(StdioStream.Stdin, cancellation).ConfigureAwait(false) : null;
    }

    private Task<Stream> OpenAsync(StdioStream stream, CancellationToken cancellation) =>
        _client.OpenStdioAsync(new StdioHandshake(_containerId, _execId, stream), cancellation);
}
