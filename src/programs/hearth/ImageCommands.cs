using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Hearth.Images;
using Hearth.Images.Registries;
using Hearth.Images.Store;

namespace Hearth.Programs.Hearth;

/// <summary><c>hearth pull|load|images|rmi</c>, in the words of docker and crictl.</summary>
internal static class ImageCommands
{
    private const string Json = "json";
    private const int ShortId = 12;

    public static IEnumerable<Command> Create() => [Pull(), Load(), List(), Remove()];

    private static Command Pull()
    {
        var name = new Argument<string>("IMAGE") { Description = "[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]" };
        var plain = new Option<bool>("--plain-http") { Description = "The registry has no TLS; those on this machine's loopback need not say so" };
        Option<string> root = RootOption();
        Option<string> format = FormatOption();
        var command = new Command("pull", "Brings an image from its registry, and makes its file system") { name, plain, root, format };
        command.SetAction(async (result, cancellation) =>
        {
            ImageReference reference = ImageReference.Parse(result.GetRequiredValue(name));
            var registries = new RegistryOptions
            {
                Credentials = DockerConfig.OfUser(),
                PlainHttp = result.GetValue(plain) ? new HashSet<string> { reference.Registry } : [],
            };
            using var progress = new ConsoleProgress();
            Image image = await new ImageStore(result.GetRequiredValue(root), registries).PullAsync(reference, null, progress, cancellation);
            progress.Dispose();
            Print([image], result.GetRequiredValue(format), brief: true);
        });
        return command;
    }

    private static Command Load()
    {
        var input = new Option<string>("--input", "-i") { Description = "An OCI archive or docker-archive, or the folder of an OCI layout", HelpName = "PATH", Required = true };
        var name = new Option<string?>("--name") { Description = "What the image is to be called, in place of what the archive says", HelpName = "NAME:TAG" };
        Option<string> root = RootOption();
        Option<string> format = FormatOption();
        var command = new Command("load", "Brings images from files") { input, name, root, format };
        command.SetAction(async (result, cancellation) =>
        {
            ImageReference? given = result.GetValue(name) is { } text ? ImageReference.Parse(text) : null;
            using var progress = new ConsoleProgress();
            IReadOnlyList<Image> images = await new ImageStore(result.GetRequiredValue(root)).ImportAsync(result.GetRequiredValue(input), given, progress, cancellation);
            progress.Dispose();
            Print(images, result.GetRequiredValue(format), brief: true);
        });
        return command;
    }

    private static Command List()
    {
        Option<string> root = RootOption();
        Option<string> format = FormatOption();
        var command = new Command("images", "Lists the images that are here") { root, format };
        command.SetAction(result => Print(new ImageStore(result.GetRequiredValue(root)).List(), result.GetRequiredValue(format), brief: false));
        return command;
    }

    private static Command Remove()
    {
        var names = new Argument<string[]>("IMAGE") { Description = "Names, or IDs", Arity = ArgumentArity.OneOrMore };
        Option<string> root = RootOption();
        var command = new Command("rmi", "Takes names from images, and removes images without one that nothing uses") { names, root };
        command.SetAction(result =>
        {
            var store = new ImageStore(result.GetRequiredValue(root));
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

    private static Option<string> RootOption() =>
        new("--root") { Description = "Where images are kept", HelpName = "FOLDER", DefaultValueFactory = _ => ImageStore.DefaultRoot() };

    private static Option<string> FormatOption()
    {
        var format = new Option<string>("--format") { Description = "table or json", DefaultValueFactory = _ => "table" };
        format.AcceptOnlyFromAmong("table", Json);
        return format;
    }

    private static void Print(IReadOnlyList<Image> images, string format, bool brief)
    {
        if (format == Json)
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
        var rows = new List<string[]> { new[] { "IMAGE", "TAG", "IMAGE ID", "CREATED", "SIZE" } };
        foreach (Image image in images)
        {
            string[] tags = image.Tags.Count > 0 ? [.. image.Tags] : [image.Digests.FirstOrDefault()?.Split('@')[0] + ":<none>"];
            foreach (string tag in tags)
            {
                int colon = tag.LastIndexOf(':');
                string created = DateTimeOffset.TryParse(image.Created, CultureInfo.InvariantCulture, out DateTimeOffset time) ? time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) : "-";
                rows.Add([colon > 0 ? tag[..colon] : "<none>", tag[(colon + 1)..], image.Id.Hex[..ShortId], created, $"{image.SizeBytes / 1e6:0.0} MB"]);
            }
        }

        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (string[] row in rows)
        {
            Console.WriteLine(string.Join("   ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
        }
    }

    private static void PrintJson(IReadOnlyList<Image> images)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true }))
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
        }

        Console.WriteLine(Encoding.UTF8.GetString(text.ToArray()));
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
