using System.Net;
using Hearth.Linux;
using Hearth.Programs.Daemon.Cri;
using Hearth.Runtime.Pods;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Hearth.Programs.Daemon.Telemetry;

/// <summary>Where Prometheus finds metrics: <c>GET /metrics</c> over HTTP, for whoever reaches the address. Thread: any.</summary>
internal static class MetricsServer
{
    /// <exception cref="HearthException">The address cannot be used.</exception>
    public static async Task<WebApplication> StartAsync(string address, PodRuntime runtime, CallMetrics calls, ILoggerFactory logs)
    {
        if (!IPEndPoint.TryParse(address, out IPEndPoint? endPoint) || endPoint.Port == 0)
        {
            throw new HearthException($"daemon.metrics_address is {address}, which is no IP address with a port, as 127.0.0.1:9500.");
        }

        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(logs);
        builder.Services.AddSingleton<IHostLifetime, OwnLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = 64;
            kestrel.Limits.MaxRequestBodySize = 0;
            kestrel.Listen(endPoint, static listen => listen.Protocols = HttpProtocols.Http1);
        });
        WebApplication application = builder.Build();
        application.Run(context =>
        {
            if (context.Request.Path != "/metrics")
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
            }

            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(Write(runtime, calls));
        });
        try
        {
            await application.StartAsync().ConfigureAwait(false);
            return application;
        }
        catch (IOException e)
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw new HearthException($"Metrics cannot be served at {address} (daemon.metrics_address): {e.Message}", e);
        }
    }

    private static string Write(PodRuntime runtime, CallMetrics calls)
    {
        var text = new PrometheusText();
        text.Family("hearthd_build_info", "gauge", "The program, as labels.");
        text.Sample("hearthd_build_info", 1, ("version", RuntimeServer.ProgramVersion));
        text.Family("hearthd_pods", "gauge", "Pods, by handler and whether they are ready.");
        foreach (var group in runtime.ListPods().GroupBy(static pod => (pod.Handler, pod.IsReady)).OrderBy(static group => group.Key))
        {
            text.Sample("hearthd_pods", group.Count(), ("handler", group.Key.Handler), ("ready", group.Key.IsReady ? "true" : "false"));
        }

        text.Family("hearthd_containers", "gauge", "Containers, by state.");
        foreach (var group in runtime.ListContainers().GroupBy(static container => container.Phase).OrderBy(static group => group.Key))
        {
            text.Sample("hearthd_containers", group.Count(), ("state", group.Key.ToString().ToLowerInvariant()));
        }

        text.Family("hearthd_images", "gauge", "Images in the store.");
        text.Sample("hearthd_images", runtime.Images.List().Count);
        calls.Write(text);
        text.Family("process_resident_memory_bytes", "gauge", "Memory of the daemon in RAM.");
        text.Sample("process_resident_memory_bytes", Environment.WorkingSet);
        text.Family("process_cpu_seconds_total", "counter", "CPU time of the daemon.");
        text.Sample("process_cpu_seconds_total", Environment.CpuUsage.TotalTime.TotalSeconds);
        return text.ToString();
    }
}
