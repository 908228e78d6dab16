using System.Text;
using Hearth.Images;
using Hearth.Images.Oci;

namespace Hearth.Runtime.Tests;

/// <summary>An image as a store would give it, without a file system: what specifications are built from.</summary>
internal sealed class TestImage : IDisposable
{
    private const string Passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/home/app:/bin/sh\nodd:x:2000:3000::/:\n";
    private const string Group = "root:x:0:\napp:x:1000:\nwheel:x:10:app,root\nextra:x:50000:app\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-image-").FullName;

    public Image Make(
        string user = "", string[]? entrypoint = null, string[]? cmd = null, string[]? env = null, string workingDir = "", string stopSignal = "")
    {
        File.WriteAllText(Path.Combine(_folder, "passwd"), Passwd);
        File.WriteAllText(Path.Combine(_folder, "group"), Group);
        return new Image
        {
            Id = Digest.Of(Encoding.UTF8.GetBytes("id")),
            Manifest = Digest.Of(Encoding.UTF8.GetBytes("manifest")),
            Tags = ["docker.io/library/test:latest"],
            Digests = ["docker.io/library/test@sha256:" + new string('1', 64)],
            SizeBytes = 1,
            Inodes = 1,
            Config = new ImageConfig
            {
                User = user,
                Entrypoint = entrypoint ?? [],
                Cmd = cmd ?? ["/bin/sh"],
                Env = env ?? [],
                WorkingDir = workingDir,
                StopSignal = stopSignal,
            },
            Folder = _folder,
        };
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
