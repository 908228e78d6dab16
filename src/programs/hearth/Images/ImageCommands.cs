using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Hearth.Images;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Images;

/// <summary><c>hearth pull|load|images|rmi</c>, in the words of docker and crictl.</summary>
internal static class ImageCommands
{
    public static IEnumerable<Command> Create() => [Pull(), Load(), List(), Remove()];

    private static Command Pull()
    {
        var name = new Argument<string>("IMAGE") { Description = "[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]" };
        var plain = new Option<bool>("--plain-http") { Description = "The registry has no TLS; those on this machine's loopback need not say so" };
        Option<string?> root = RootOption();
        Option<string> format = CommonOptions.Format();
        var command = new Command("pull", "Brings an image from its registry, and makes its file system") { name, plain, root, format };
        command.SetAction(async (result, cancellation) =>
        {
            ImageReference reference = ImageReference.Parse(result.GetRequiredValue(name));
            using var progress = new ConsoleProgress();
            Image image = await Open(result, root, result.GetValue(plain) ? new HashSet<string> { reference.Registry } : null).PullAsync(reference, null, progress, cancellation);
            progress.Dispose();
            Print([image], result.GetRequiredValue(format), brief: true);
        });
        return command;
    }

    private static Command Load()
    {
        var input = new Option<string>("--input", "-i") { Description = "An OCI archive or docker-archive, or the folder of an OCI layout", HelpName = "PATH", Required = true };
        var name = new Option<string?>("--name") { Description = "What the image is to be called, in place of what the archive says", HelpName = "NAME:TAG" };
        Option<string?> root = RootOption();
        Option<string> format = CommonOptions.Format();
        var command = new Command("load", "Brings images from files") { input, name, root, format };
        command.SetAction(async (result, cancellation) =>
        {
            ImageReference? given = result.GetValue(name) is { } text ? ImageReference.Parse(text) : null;
            using var progress = new ConsoleProgress();
            IReadOnlyList<Image> images = await Open(result, root).ImportAsync(result.GetRequiredValue(input), given, progress, cancellation);
            progress.Dispose();
            Print(images, result.GetRequiredValue(format), brief: true);
        });
        return command;
    }

    private static Command List()
    {
        Option<string?> root = RootOption();
        Option<string> format = CommonOptions.Format();
        Option<bool> quiet = CommonOptions.Quiet("ids");
        var command = new Command("images", "Lists the images that are here") { root, format, quiet };
        command.SetAction(result =>
        {
            IReadOnlyList<Image> images = Open(result, root).List();
            if (result.GetValue(quiet))
            {
                ListCommands.PrintIds(images.Select(image => image.Id.ToString()));
            }
            else
            {
                Print(images, result.GetRequiredValue(format), brief: false);
            }
        });
        return command;
    }

    private static Command Remove()
    {
        var names = new Argument<string[]>("IMAGE") { Description = "Names, or IDs", Arity = ArgumentArity.OneOrMore };
        Option<string?> root = RootOption();
        var command = new Command("rmi", "Takes names from images, and removes images without one that nothing uses") { names, root };
        command.SetAction(result =>
        {
            var store = Open(result, root);
            bool all = true;
            foreach (string name in result.GetRequiredValue(names))
            {
                IReadOnlyList<string> gone = store.Untag(name);
                all &= gone.Count > 0;
                foreach (string tag in gone)
                {
                    Console.WriteLine($"Untagged: {tag}");
                }

                if (gone.Count == 0)
                {
                    Console.Error.WriteLine($"hearth: there is no image \"{name}\" here (hearth images lists them)");
                }
            }

            foreach (Image image in store.CollectGarbage())
            {
                Console.WriteLine($"Removed: {image.Id}");
            }

            return all ? 0 : 1;
        });
        return command;
    }

    private static Option<string?> RootOption() =>
        new("--root") { Description = "Where images are kept, in place of the configured folder", HelpName = "FOLDER" };

    // hearthd is root's. Someone else's images are their own, unless the configuration says where.
    private static ImageStore Open(ParseResult result, Option<string?> root, IReadOnlySet<string>? plainHttp = null)
    {
        var settings = Settings.Of(result);
        string? folder = result.GetValue(root) ?? (settings.ConfigPath is null && !Environment.IsPrivilegedProcess ? ImageStore.DefaultRoot() : null);
        return ImageSource.Open(settings, folder, plainHttp);
    }

    private static void Print(IReadOnlyList<Image> images, string format, bool brief)
    {
        if (format == CommonOptions.Json)
        {
            PrintJson(images);
        }
        else if (brief)
        {
            foreach (Image image in images)
            {
                Console.WriteLine(image.Digests.FirstOrDefault() ?? image.Id.ToString());
            }
        }
        else
        {
            PrintTable(images);
        }
    }

    private static void PrintTable(IReadOnlyList<Image> images)
    {
        var table = new Table("IMAGE", "TAG", "IMAGE ID", "CREATED", "SIZE");
        foreach (Image image in images)
        {
            string[] tags = image.Tags.Count > 0 ? [.. image.Tags] : [image.Digests.FirstOrDefault()?.Split('@')[0] + ":<none>"];
            foreach (string tag in tags)
            {
                int colon = tag.LastIndexOf(':');
                string created = DateTimeOffset.TryParse(image.Created, CultureInfo.InvariantCulture, out DateTimeOffset time) ? Humane.Span(DateTimeOffset.UtcNow - time) + " ago" : "-";
                table.Add(colon > 0 ? tag[..colon] : "<none>", tag[(colon + 1)..], Humane.ShortId(image.Id.ToString()), created, Humane.Bytes((ulong)image.SizeBytes));
            }
        }

        table.Write(Console.Out, Palette.Output);
    }

    private static void PrintJson(IReadOnlyList<Image> images)
    {
        Console.WriteLine(Json.Write(json =>
        {
            json.WriteStartArray();
            foreach (Image image in images)
            {
                json.WriteStartObject();
                json.WriteString("id", image.Id.ToString());
                json.WriteString("manifest", image.Manifest.ToString());
                WriteList(json, "repoTags", image.Tags);
                WriteList(json, "repoDigests", image.Digests);
                json.WriteNumber("size", image.SizeBytes);
                json.WriteNumber("inodes", image.Inodes);
                json.WriteString("created", image.Created);
                json.WriteString("rootfs", image.RootFilesystem);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }));
    }

    private static void WriteList(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }
}
