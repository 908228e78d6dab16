using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Hearth.Linux;
using Hearth.Network;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>Processes beside a container's first: exec, attach, ports.</summary>
internal sealed partial class OciPod
{
    // What a command's children may hold open after its end.
    private static readonly TimeSpan s_drainTime = TimeSpan.FromSeconds(10);

    public async Task<ExecResult> RunAsync(string id, ProcessSpec process, TimeSpan? timeout, CancellationToken cancellation)
    {
        await using PipedExec exec = Begin(id, process);
        exec.Process.StandardInput.Close();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (timeout is { } time)
        {
            limit.CancelAfter(time);
        }

        var output = new MemoryStream();
        var errors = new MemoryStream();
        Task reading = Task.WhenAll(
            KeepAsync(exec.Process.StandardOutput.BaseStream, output, limit.Token), KeepAsync(exec.Process.StandardError.BaseStream, errors, limit.Token));
        try
        {
            await exec.Process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            limit.CancelAfter(s_drainTime);
            await reading.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (exec.Process.HasExited)
        {
            // Its children go on with its streams; it has ended.
        }
        catch (OperationCanceledException)
        {
            exec.Kill();
            cancellation.ThrowIfCancellationRequested();
            throw new PodException(PodFault.DeadlineExceeded, $"The command {process.Args[0]} did not end within {timeout!.Value.TotalSeconds} seconds, and was killed.");
        }

        lock (errors)
        {
            // The runtime writes the number before the program runs: without one it did not come to that.
            if (exec.Process.ExitCode != 0 && exec.Pid == 0)
            {
                throw _runtime.Failure("exec", Encoding.UTF8.GetString(errors.ToArray()));
            }

            lock (output)
            {
                return new ExecResult(output.ToArray(), errors.ToArray(), exec.Process.ExitCode);
            }
        }
    }

    public async Task<IProcessSession> ExecAsync(string id, ProcessSpec process, ExecOptions options, CancellationToken cancellation)
    {
        if (!options.Tty)
        {
            PipedExec exec = Begin(id, process);
            if (!options.Stdin)
            {
                exec.Process.StandardInput.Close();
            }

            return new PipedSession(exec, options);
        }

        OciContainer container = Get(id);
        string name = Guid.NewGuid().ToString("N");
        string folder = Path.Combine(_paths.Execs, name);
        Directory.CreateDirectory(folder);
        ConmonAttachment? session = null;
        var exit = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            string spec = Path.Combine(folder, "process.json");
            await File.WriteAllBytesAsync(spec, ToJson(process with { Terminal = true }), cancellation).ConfigureAwait(false);
            string pidFile = Path.Combine(folder, "pid");
            (_, Task<int>? ended) = await _conmon.StartAsync(
                new ConmonJob
                {
                    ContainerId = container.Id,
                    JobId = name,
                    Folder = folder,
                    PidFile = pidFile,
                    ConmonPidFile = Path.Combine(folder, "conmon.pid"),
                    Terminal = true,
                    Stdin = options.Stdin,
                    ExecSpec = spec,
                },
                _cgroup,
                () => session = ConmonAttachment.Connect(folder, options.Stdin, stdout: true, stderr: false, exit.Task.WaitAsync, () =>
                {
                    if (!exit.Task.IsCompleted)
                    {
                        HostProcess.Kill(HostProcess.ReadPid(pidFile));
                    }
                }),
                cancellation).ConfigureAwait(false);
            _ = ended!.ContinueWith(
                done =>
                {
                    exit.TrySetResult(done.Result);
                    Directory.Delete(folder, recursive: true);
                },
                CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return session!;
        }
        catch
        {
            if (session is not null)
            {
                await session.DisposeAsync().ConfigureAwait(false);
            }

            RootMounts.Remove(folder);
            throw;
        }
    }

    public Task<IProcessSession> AttachAsync(Container container, AttachOptions options, CancellationToken cancellation)
    {
        OciContainer found = Get(container.Id);
        if (options.Stdin && !container.Config.Stdin)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The container {container.Id} was made without an input (stdin: true).");
        }

        return Task.FromResult<IProcessSession>(ConmonAttachment.Connect(
            found.Paths.Folder, options.Stdin, options.Stdout, options.Stderr && !found.HasTerminal, found.Ended.Task.WaitAsync));
    }

    public async Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation)
    {
        foreach (IPAddress address in new[] { IPAddress.Loopback, IPAddress.IPv6Loopback })
        {
            Socket? socket = null;
            try
            {
                Socket Make() => new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

                // A socket stays in the namespace that it was made in.
                socket = Namespaces.Network == NamespaceMode.Node ? Make() : NetworkNamespace.Run(Pod.NetworkNamespace, Make);
                await socket.ConnectAsync(new IPEndPoint(address, port), cancellation).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (Exception e)
            {
                socket?.Dispose();
                if (e is not (SocketException or LinuxThreadException { InnerException: SocketException }))
                {
                    throw;
                }
            }
        }

        throw new PodException(PodFault.NotFound, $"Nobody listens at port {port} of the pod {Pod.Id}.");
    }

    private static async Task KeepAsync(Stream from, MemoryStream into, CancellationToken cancellation)
    {
        byte[] buffer = new byte[32 << 10];
        int count;
        while ((count = await from.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
        {
            lock (into)
            {
                into.Write(buffer, 0, Math.Min(count, ExecResult.MaxBytes - (int)into.Length));
            }
        }
    }

    private static byte[] ToJson(ProcessSpec process) => JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec);

    private PipedExec Begin(string id, ProcessSpec process)
    {
        OciContainer container = Get(id);
        string folder = Path.Combine(_paths.Execs, Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(folder);
        try
        {
            string spec = Path.Combine(folder, "process.json");
            File.WriteAllBytes(spec, ToJson(process));
            string pidFile = Path.Combine(folder, "pid");
            return new PipedExec(Process.Start(_runtime.Start("exec", "--process", spec, "--pid-file", pidFile, container.Id))!, folder, pidFile);
        }
        catch
        {
            RootMounts.Remove(folder);
            throw;
        }
    }

    /// <summary>An exec whose streams are pipes of the runtime's own process, which ends as the command ends.</summary>
    private sealed class PipedExec(Process process, string folder, string pidFile) : IAsyncDisposable
    {
        public Process Process => process;

        /// <summary>Of the command, as the host sees it; 0 before it is there.</summary>
        public int Pid => HostProcess.ReadPid(pidFile);

        public void Kill()
        {
            HostProcess.Kill(Pid);
            OciRuntimeProgram.Kill(process);
        }

        public async ValueTask DisposeAsync()
        {
            if (!process.HasExited)
            {
                Kill();
                await process.WaitForExitAsync().ConfigureAwait(false);
            }

            new RedirectedStreams(process).Dispose();
            process.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    private sealed class PipedSession(PipedExec exec, ExecOptions options) : IProcessSession
    {
        public Stream? Stdin { get; } = options.Stdin ? exec.Process.StandardInput.BaseStream : null;

        public Stream? Stdout { get; } = options.Stdout ? exec.Process.StandardOutput.BaseStream : Drained(exec.Process.StandardOutput.BaseStream);

        public Stream? Stderr { get; } = options.Stderr ? exec.Process.StandardError.BaseStream : Drained(exec.Process.StandardError.BaseStream);

        public Task ResizeAsync(uint columns, uint rows, CancellationToken cancellation = default) => Task.CompletedTask;

        public async Task<int> WaitAsync(CancellationToken cancellation = default)
        {
            await exec.Process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            return exec.Process.ExitCode;
        }

        public ValueTask DisposeAsync() => exec.DisposeAsync();

        // What nobody reads must not stop the command.
        private static Stream? Drained(Stream stream)
        {
            _ = Task.Run(async () =>
            {
                try
                {
                    await stream.CopyToAsync(Stream.Null).ConfigureAwait(false);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    // The session's end.
                }
            });
            return null;
        }
    }
}
