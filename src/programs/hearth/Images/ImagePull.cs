using Hearth.Cri.Protocol;
using Hearth.Images;
using Hearth.Images.Registries;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Images;

/// <summary>Makes sure that an image is here before it is run.</summary>
internal static class ImagePull
{
    /// <exception cref="CommandLineException">It is not, and cannot be had.</exception>
    public static async Task EnsureAsync(DaemonClient daemon, string image, PullPolicy policy, CancellationToken cancellation)
    {
        if (policy != PullPolicy.Always)
        {
            ImageStatusResponse status = await daemon.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = image } }, cancellationToken: cancellation);
            if (status.Image is not null)
            {
                return;
            }

            if (policy == PullPolicy.Never)
            {
                throw new CommandLineException($"{image} is not here, and --pull never forbids to fetch it. hearth pull {image} does.", CommandLineException.RuntimeFailed);
            }
        }

        try
        {
            using var progress = new ConsoleProgress();
            await ImageSource.Open(daemon.Settings).PullAsync(ImageReference.Parse(image), null, progress, cancellation);
        }
        catch (ImageException e)
        {
            throw new CommandLineException(e.Message, CommandLineException.RuntimeFailed, e);
        }
    }
}
