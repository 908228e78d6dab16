using System.Runtime.InteropServices;
using Hearth.Configuration;
using Hearth.Images.Building;
using Hearth.Linux;
using Hearth.Programs.Daemon.Cri;
using Hearth.Programs.Daemon.Streaming;
using Hearth.Programs.Daemon.Telemetry;
using Hearth.Runtime.Pods;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Hearth.Programs.Daemon;

/// <summary>The daemon's life: what is started in which order, and stopped. Pods run on without it.</summary>
internal static partial class Daemon
{
    // The same as kubelets take and send.
    private const int MaxMessageBytes = 16 << 20;

    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Serves until SIGTERM or SIGINT.</summary>
    /// <exception cref="HearthException">It cannot start; the message says why, and what to do.</exception>
    public static async Task RunAsync(HearthConfig config, string? configPath)
    {
        var stop = new TaskCompletionSource<PosixSignal>(TaskCreationOptions.RunContinuationsAsynchronously);
        using PosixSignalRegistration terminated = OnSignal(PosixSignal.SIGTERM, stop);
        using PosixSignalRegistration interrupted = OnSignal(PosixSignal.SIGINT, stop);
        using var time = new StderrLog(Console.Error, config.Daemon.LogFormat == "json", TimeProvider.System);
        using ILoggerFactory logs = LoggerFactory.Create(logging => logging
            .AddProvider(time)
            .SetMinimumLevel(StderrLog.ParseLevel(config.Daemon.LogLevel))
            // A request's path is a token, and its headers are nobody's business.
            .AddFilter("Microsoft", LogLevel.Warning)
            .AddFilter("Grpc", LogLevel.Warning));
        ILogger log = logs.CreateLogger("hearthd");
        string? manager = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
        // Not for what the daemon starts.
        Environment.SetEnvironmentVariable("NOTIFY_SOCKET", null);

        CriSocket.Prepare(config.Daemon.Socket);
        ILogger runtimeLog = logs.CreateLogger("runtime");
        PodRuntime runtime = await PodRuntime.StartAsync(new PodRuntimeOptions
        {
            Config = config,
            ConfigPath = configPath,
            ImageBuilder = Environment.IsPrivilegedProcess
                ? new ImageBuilderProgram(Environment.ProcessPath!, (uint)(config.Microvm.JailUidBase + config.Microvm.JailUidCount))
                : null,
            Log = message => LogRuntime(runtimeLog, message),
        }).ConfigureAwait(false);
        await using (runtime.ConfigureAwait(false))
        {
            StreamingServer streaming = await StreamingServer.StartAsync(config.Daemon, new PodStreaming(runtime), TimeProvider.System, logs).ConfigureAwait(false);
            await using (streaming.ConfigureAwait(false))
            {
                var calls = new CallMetrics();
                WebApplication? metrics = config.Daemon.MetricsAddress.Length > 0
                    ? await MetricsServer.StartAsync(config.Daemon.MetricsAddress, runtime, calls, logs).ConfigureAwait(false)
                    : null;
                await using CallTraces? traces = config.Daemon.TracesEndpoint.Length > 0
                    ? new CallTraces(config.Daemon.TracesEndpoint, RuntimeServer.ProgramVersion, logs.CreateLogger("traces"))
                    : null;
                WebApplication cri = await StartCriAsync(config.Daemon.Socket, runtime, streaming, calls, traces, logs).ConfigureAwait(false);
                LogListening(log, RuntimeServer.ProgramVersion, config.Daemon.Socket, streaming.BaseUrl);
                ServiceState.Tell("READY=1", manager);

                PosixSignal signal = await stop.Task.ConfigureAwait(false);
                LogStopping(log, signal);
                ServiceState.Tell("STOPPING=1", manager);
                await StopAsync(cri).ConfigureAwait(false);
                File.Delete(config.Daemon.Socket);
                if (metrics is not null)
                {
                    await StopAsync(metrics).ConfigureAwait(false);
                }
            }
        }
    }

    private static async Task<WebApplication> StartCriAsync(string socket, PodRuntime runtime, StreamingServer streaming, CallMetrics calls, CallTraces? traces, ILoggerFactory logs)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(logs);
        builder.Services.AddSingleton<IHostLifetime, OwnLifetime>();
        builder.Services.AddSingleton(calls);
        if (traces is not null)
        {
            builder.Services.AddSingleton(traces);
        }

        builder.Services.AddSingleton(runtime);
        builder.Services.AddSingleton(runtime.Images);
        builder.Services.AddSingleton(streaming);
        // One object each for all calls, which they have no state between.
        builder.Services.AddSingleton<CallInterceptor>();
        builder.Services.AddSingleton<RuntimeServer>();
        builder.Services.AddSingleton<ImageServer>();
        builder.Services.AddSingleton<PersonServer>();
        builder.Services.AddGrpc(static grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = MaxMessageBytes;
            grpc.Interceptors.Add<CallInterceptor>();
        });
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.ListenUnixSocket(socket, static listen => listen.Protocols = HttpProtocols.Http2);
        });
        WebApplication application = builder.Build();
        application.MapGrpcService<RuntimeServer>();
        application.MapGrpcService<ImageServer>();
        application.MapGrpcService<PersonServer>();
        await application.StartAsync().ConfigureAwait(false);
        CriSocket.LetGroupIn(socket);
        return application;
    }

    /// <summary>Calls that do not end in time are broken off.</summary>
    private static async Task StopAsync(WebApplication application)
    {
        using var timeout = new CancellationTokenSource(s_stopTimeout);
        await application.StopAsync(timeout.Token).ConfigureAwait(false);
        await application.DisposeAsync().ConfigureAwait(false);
    }

    private static PosixSignalRegistration OnSignal(PosixSignal signal, TaskCompletionSource<PosixSignal> stop) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stop.TrySetResult(context.Signal);
    });

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Message}")]
    private static partial void LogRuntime(ILogger log, string message);

    [LoggerMessage(Level = LogLevel.Information, Message = "hearthd {Version} serves CRI v1 at {Socket}, streams at {Streaming}")]
    private static partial void LogListening(ILogger log, string version, string socket, string streaming);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Signal}: stopping; pods run on")]
    private static partial void LogStopping(ILogger log, PosixSignal signal);
}
