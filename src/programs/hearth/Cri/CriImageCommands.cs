using System.CommandLine;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Cri;

/// <summary><c>hearth cri pull|images|inspecti|rmi|imagefsinfo</c>.</summary>
internal static class CriImageCommands
{
    public static IEnumerable<Command> Create() => [Pull(), List(), Inspect(), Remove(), Usage()];

    private static Command Pull()
    {
        Argument<string> name = CommonOptions.Image();
        var credentials = new Option<string?>("--creds") { Description = "For the registry", HelpName = "NAME:PASSWORD" };
        var command = new Command("pull", "PullImage") { name, credentials };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            var request = new PullImageRequest { Image = new ImageSpec { Image = result.GetRequiredValue(name) } };
            if (result.GetValue(credentials) is { } text)
            {
                int colon = text.IndexOf(':');
                request.Auth = new AuthConfig { Username = colon < 0 ? text : text[..colon], Password = colon < 0 ? "" : text[(colon + 1)..] };
            }

            PullImageResponse pulled = await daemon.Images.PullImageAsync(request, cancellationToken: cancellation);
            Console.WriteLine($"Image is up to date for {pulled.ImageRef}");
        });
        return command;
    }

    private static Command List()
    {
        Option<bool> quiet = CommonOptions.Quiet("ids");
        Option<string> output = CriPodCommands.OutputOption(CommonOptions.Table);
        var command = new Command("images", "ListImages") { quiet, output };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            ListImagesResponse images = await daemon.Images.ListImagesAsync(new ListImagesRequest(), cancellationToken: cancellation);
            if (result.GetValue(quiet))
            {
                ListCommands.PrintIds(images.Images.Select(image => image.Id));
            }
            else if (result.GetValue(output) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Of(images));
            }
            else
            {
                var table = new Table("IMAGE", "TAG", "IMAGE ID", "SIZE");
                foreach (Image image in images.Images)
                {
                    foreach (string tag in image.RepoTags.DefaultIfEmpty($"{image.RepoDigests.FirstOrDefault()?.Split('@')[0] ?? "<none>"}:<none>"))
                    {
                        int colon = tag.LastIndexOf(':');
                        table.Add(tag[..colon], tag[(colon + 1)..], Humane.ShortId(image.Id), Humane.Bytes(image.Size));
                    }
                }

                table.Write(Console.Out, Palette.Output);
            }
        });
        return command;
    }

    private static Command Inspect()
    {
        Argument<string> name = CommonOptions.Image();
        var command = new Command("inspecti", "ImageStatus") { name };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            string image = result.GetRequiredValue(name);
            ImageStatusResponse status = await daemon.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = image }, Verbose = true }, cancellationToken: cancellation);
            if (status.Image is null)
            {
                throw new CommandLineException($"There is no image \"{image}\" here: hearth images lists them.");
            }

            Console.WriteLine(Json.Write(json =>
            {
                json.WriteStartObject();
                Json.WriteMessage(json, "status", status.Image);
                Json.WriteInfo(json, "info", status.Info);
                json.WriteEndObject();
            }));
        });
        return command;
    }

    private static Command Remove()
    {
        var names = new Argument<string[]>("IMAGE") { Description = "Names, or ids", Arity = ArgumentArity.OneOrMore };
        names.CompletionSources.Add(Suggestions.Images);
        var command = new Command("rmi", "RemoveImage") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                await daemon.Images.RemoveImageAsync(new RemoveImageRequest { Image = new ImageSpec { Image = name } }, cancellationToken: cancellation);
                Console.WriteLine($"Deleted: {name}");
            }
        });
        return command;
    }

    private static Command Usage()
    {
        var command = new Command("imagefsinfo", "ImageFsInfo, as JSON");
        command.SetDaemonAction(async (_, daemon, cancellation) =>
            Console.WriteLine(Json.Of(await daemon.Images.ImageFsInfoAsync(new ImageFsInfoRequest(), cancellationToken: cancellation))));
        return command;
    }
}
