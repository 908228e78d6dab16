using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Hearth.Images.Tests.Registries;

/// <summary>Debian's docker-registry on loopback, with its data in a folder of the test.</summary>
internal sealed class DockerRegistry : IDisposable
{
    private readonly Process _process;

    public DockerRegistry(TemporaryFolder folder)
    {
        const int attempts = 3;
        // A port that was free may be another's by the time the registry binds it.
        for (int attempt = 1; ; attempt++)
        {
            Host = $"127.0.0.1:{FreePort()}";
            _process = Start(folder, Host);
            if (IsServing())
            {
                return;
            }

            _process.Dispose();
            Assert.True(attempt < attempts, "docker-registry ended");
        }
    }

    public string Host { get; }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static int FreePort()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        return ((IPEndPoint)free.LocalEndpoint).Port;
    }

    private static Process Start(TemporaryFolder folder, string host)
    {
        // Where eng/test.sh unpacks it: its installation would start a service.
        string unpacked = Path.Combine(ImageCache.Default().Root, "unpacked/docker-registry/usr/bin/docker-registry");
        string config = folder.Write("registry.yml", $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder["registry"]}}}}}\nhttp: {{addr: {host}}}\nlog: {{level: error}}\n");
        Process process = Process.Start(new ProcessStartInfo(File.Exists(unpacked) ? unpacked : "docker-registry", ["serve", config]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        return process;
    }

    // False where it has ended.
    private bool IsServing()
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(30);
        while (!_process.HasExited)
        {
            try
            {
                using var client = new TcpClient();
                client.Connect(IPEndPoint.Parse(Host));
                return true;
            }
            catch (SocketException) when (DateTime.UtcNow < deadline)
            {
                Thread.Yield();
            }
        }

        return false;
    }
}
