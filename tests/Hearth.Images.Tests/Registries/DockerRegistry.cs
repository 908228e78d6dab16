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
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Host = $"127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
        }

        // Where eng/test.sh unpacks it: its installation would start a service.
        string unpacked = Path.Combine(ImageCache.Default().Root, "unpacked/docker-registry/usr/bin/docker-registry");
        string config = folder.Write("registry.yml", $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder["registry"]}}}}}\nhttp: {{addr: {Host}}}\nlog: {{level: error}}\n");
        _process = Process.Start(new ProcessStartInfo(File.Exists(unpacked) ? unpacked : "docker-registry", ["serve", config]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        Wait();
    }

    public string Host { get; }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Wait()
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(30);
        while (true)
        {
            Assert.False(_process.HasExited, "docker-registry ended");
            try
            {
                using var client = new TcpClient();
                client.Connect(IPEndPoint.Parse(Host));
                return;
            }
            catch (SocketException) when (DateTime.UtcNow < deadline)
            {
                Thread.Yield();
            }
        }
    }
}
