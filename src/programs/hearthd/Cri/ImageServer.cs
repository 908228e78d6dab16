using System.Globalization;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Images;
using Hearth.Images.Registries;
using Hearth.Runtime.Images;
using Image = Hearth.Images.Image;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>CRI's ImageService, over the runtime's images. Thread: any.</summary>
internal sealed partial class ImageServer(Hearth.Runtime.Images.ImageService images, IHostApplicationLifetime lifetime, ILogger<ImageServer> log) : Hearth.Cri.Protocol.ImageService.ImageServiceBase
{
    // A message's bound, with 256 images of several names.
    private const int PartImages = 256;

    public override Task<ListImagesResponse> ListImages(ListImagesRequest request, ServerCallContext context)
    {
        var response = new ListImagesResponse();
        response.Images.Add(List(request.Filter));
        return Task.FromResult(response);
    }

    public override async Task StreamImages(StreamImagesRequest request, IServerStreamWriter<StreamImagesResponse> responseStream, ServerCallContext context)
    {
        foreach (Hearth.Cri.Protocol.Image[] part in List(request.Filter).Chunk(PartImages))
        {
            await responseStream.WriteAsync(new StreamImagesResponse { Images = { part } }, context.CancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>An image that is not here is no error: the answer has none.</summary>
    public override Task<ImageStatusResponse> ImageStatus(ImageStatusRequest request, ServerCallContext context)
    {
        var response = new ImageStatusResponse();
        if (images.Find(Name(request.Image)) is { } image)
        {
            response.Image = Translate(image);
            if (request.Verbose)
            {
                response.Info["info"] = VerboseInfo.Image(image);
            }
        }

        return Task.FromResult(response);
    }

    public override async Task<PullImageResponse> PullImage(PullImageRequest request, ServerCallContext context)
    {
        string name = Name(request.Image);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        Image image = await images.PullAsync(name, Credentials(request.Auth, name), new PullLog(this, name), end.Token).ConfigureAwait(false);
        LogPulled(name, image.Id.ToString(), image.SizeBytes);
        return new PullImageResponse { ImageRef = image.Id.ToString() };
    }

    /// <summary>An image that is not here is no error.</summary>
    public override async Task<RemoveImageResponse> RemoveImage(RemoveImageRequest request, ServerCallContext context)
    {
        await images.RemoveAsync(Name(request.Image), context.CancellationToken).ConfigureAwait(false);
        return new RemoveImageResponse();
    }

    public override async Task<ImageFsInfoResponse> ImageFsInfo(ImageFsInfoRequest request, ServerCallContext context)
    {
        DiskUsage usage = await images.UsageAsync(context.CancellationToken).ConfigureAwait(false);
        return new ImageFsInfoResponse { ImageFilesystems = { Translate(usage.Images, usage.TakenAt) }, ContainerFilesystems = { Translate(usage.Containers, usage.TakenAt) } };
    }

    /// <summary>Reads what kubelets have: name and password, the same in base 64, or a token.</summary>
    /// <returns>Null for the configured ones.</returns>
    /// <exception cref="ImageException">The base 64 form is broken.</exception>
    internal static RegistryCredentials? Credentials(AuthConfig? auth, string image)
    {
        if (auth is null || !IsFor(auth.ServerAddress, image))
        {
            return null;
        }

        return auth switch
        {
            { RegistryToken.Length: > 0 } => new RegistryCredentials { RegistryToken = auth.RegistryToken },
            { IdentityToken.Length: > 0 } => new RegistryCredentials { IdentityToken = auth.IdentityToken },
            { Auth.Length: > 0 } => DockerConfig.FromAuth(auth.Auth, "the pull's auth"),
            { Username.Length: > 0 } => new RegistryCredentials { Username = auth.Username, Password = auth.Password },
            _ => null,
        };
    }

    /// <summary>Credentials for one registry are not shown to another.</summary>
    private static bool IsFor(string server, string image)
    {
        if (server.Length == 0 || !ImageReference.TryParse(image, out ImageReference? reference))
        {
            return true;
        }

        string host = server.Contains("://", StringComparison.Ordinal) ? server[(server.IndexOf("://", StringComparison.Ordinal) + 3)..] : server;
        host = host.Split('/')[0];
        return host.Equals(reference.Registry, StringComparison.OrdinalIgnoreCase)
            || (reference.Registry == "docker.io" && host is "index.docker.io" or "registry-1.docker.io");
    }

    private static string Name(ImageSpec? spec) => spec is { Image.Length: > 0 }
        ? spec.Image
        : throw new ImageException(ImageFault.InvalidReference, "The image's name is missing.");

    private static FilesystemUsage Translate(FolderUsage folder, DateTimeOffset at) => new()
    {
        Timestamp = ToCri.Time(at),
        FsId = new FilesystemIdentifier { Mountpoint = folder.Path },
        UsedBytes = ToCri.Number((ulong)folder.Bytes),
        InodesUsed = ToCri.Number((ulong)folder.Inodes),
    };

    private IEnumerable<Hearth.Cri.Protocol.Image> List(ImageFilter? filter)
    {
        if (filter?.Image is not { Image.Length: > 0 } wanted)
        {
            return images.List().Select(Translate);
        }

        return images.Find(wanted.Image) is { } image ? [Translate(image)] : [];
    }

    private Hearth.Cri.Protocol.Image Translate(Image image)
    {
        // uid[:gid] or name[:group]: CRI tells the user, as a number if it is one.
        string user = image.Config.User.Split(':')[0];
        bool numeric = long.TryParse(user, NumberStyles.None, CultureInfo.InvariantCulture, out long uid);
        return new Hearth.Cri.Protocol.Image
        {
            Id = image.Id.ToString(),
            RepoTags = { image.Tags },
            RepoDigests = { image.Digests },
            Size = (ulong)image.SizeBytes,
            Uid = numeric ? new Int64Value { Value = uid } : null,
            Username = numeric ? "" : user,
            Spec = new ImageSpec { Image = image.Id.ToString() },
            Pinned = images.IsPinned(image),
        };
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Pulled {Image}: {Id}, {Bytes} bytes")]
    private partial void LogPulled(string image, string id, long bytes);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Pulling {Image}: {Step}")]
    private partial void LogProgress(string image, string step);

    private sealed class PullLog(ImageServer server, string image) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value)
        {
            // Steps; how far each is, is for people who watch.
            if (value.Percent is null)
            {
                server.LogProgress(image, value.Text);
            }
        }
    }
}
