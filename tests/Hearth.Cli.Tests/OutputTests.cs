using System.Text.Json;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Cri;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Cli.Tests;

public sealed class OutputTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Columns_are_as_wide_as_their_widest_cell_whatever_its_colour()
    {
        var table = new Table("ID", "NAME", "LAST");
        table.Add("long-id", new Table.Cell("up", static (palette, text) => palette.Green(text)), "x");
        table.Add("s", "name", "");

        Assert.Equal(["ID        NAME   LAST", "long-id   up     x", "s         name"], Lines(table, Palette.None));
        Assert.Equal("long-id   \e[32mup\e[0m     x", Lines(table, Palette.Always)[1]);
    }

    [Fact]
    public void What_a_container_is_called_cannot_move_the_cursor()
    {
        var table = new Table("NAME");
        table.Add("a\e[2Jb\n");

        Assert.Equal("a\uFFFD[2Jb\uFFFD", Lines(table, Palette.None)[1]);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(3UL << 30, "3.0 GiB")]
    public void Bytes_have_units(ulong bytes, string text) => Assert.Equal(text, Humane.Bytes(bytes));

    [Theory]
    [InlineData(1, "1 second")]
    [InlineData(119, "1 minute")]
    [InlineData(7200, "2 hours")]
    [InlineData(86400 * 3, "3 days")]
    [InlineData(86400 * 800, "2 years")]
    public void Times_have_one_unit(int seconds, string text) => Assert.Equal(text, Humane.Span(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void States_are_in_dockers_words()
    {
        long Nanoseconds(int secondsAgo) => s_now.AddSeconds(-secondsAgo).ToUnixTimeMilliseconds() * 1_000_000;
        ContainerRow Row(ContainerState state, ContainerStatus? status) => new(new Container { Id = "0123456789abcdef", State = state }, status, null);

        Assert.Equal("Up 3 minutes", Row(ContainerState.ContainerRunning, new ContainerStatus { StartedAt = Nanoseconds(180) }).StatusText(s_now));
        Assert.Equal("Exited (3) 2 hours ago", Row(ContainerState.ContainerExited, new ContainerStatus { ExitCode = 3, FinishedAt = Nanoseconds(7200) }).StatusText(s_now));
        Assert.Equal("Exited (137) 1 second ago, out of memory", Row(ContainerState.ContainerExited, new ContainerStatus { ExitCode = 137, FinishedAt = Nanoseconds(1), Reason = "OOMKilled" }).StatusText(s_now));
        Assert.Equal("Created", Row(ContainerState.ContainerCreated, null).StatusText(s_now));
        Assert.Equal("0123456789ab", Row(ContainerState.ContainerCreated, null).Cells(s_now)[0].Text);
    }

    [Fact]
    public void Use_is_what_happened_between_two_looks()
    {
        static ContainerStats At(long seconds, ulong cpuSeconds) => new()
        {
            Attributes = new ContainerAttributes { Id = "c1", Metadata = new ContainerMetadata { Name = "web" } },
            Cpu = new CpuUsage { Timestamp = seconds * 1_000_000_000, UsageCoreNanoSeconds = new UInt64Value { Value = cpuSeconds * 1_000_000_000 } },
            Memory = new MemoryUsage { UsageBytes = new UInt64Value { Value = 2048 } },
        };

        Assert.Equal("c1             web    150.0 %   2.0 KiB   -             -", Lines(StatsTable.Of([At(10, 1)], [At(12, 4)]), Palette.None)[1]);
        Assert.Contains("web    -     2.0 KiB", Lines(StatsTable.Of([], [At(12, 4)]), Palette.None)[1]);
    }

    [Fact]
    public void Json_has_cris_names_and_its_defaults()
    {
        using var json = JsonDocument.Parse(Json.Of(new ListContainersResponse { Containers = { new Container { Id = "c", PodSandboxId = "p", State = ContainerState.ContainerRunning } } }));
        JsonElement one = json.RootElement.GetProperty("containers")[0];

        Assert.Equal(("c", "p", "CONTAINER_RUNNING"), (one.GetProperty("id").GetString(), one.GetProperty("podSandboxId").GetString(), one.GetProperty("state").GetString()));
        Assert.Equal("0", one.GetProperty("createdAt").GetString());
    }

    [Fact]
    public void Info_that_is_json_is_json_and_the_rest_is_text()
    {
        string text = Json.Write(json =>
        {
            json.WriteStartObject();
            Json.WriteInfo(json, "info", new Dictionary<string, string> { ["a"] = """{"x":1}""", ["b"] = "{broken", ["c"] = "word" });
            json.WriteEndObject();
        });
        using var document = JsonDocument.Parse(text);
        JsonElement info = document.RootElement.GetProperty("info");
        Assert.Equal(1, info.GetProperty("a").GetProperty("x").GetInt32());
        Assert.Equal(("{broken", "word"), (info.GetProperty("b").GetString(), info.GetProperty("c").GetString()));
    }

    [Fact]
    public void Crictls_files_are_read()
    {
        PodSandboxConfig pod = CriFile.Parse<PodSandboxConfig>("""{"metadata":{"name":"p","namespace":"n","uid":"u","attempt":1},"log_directory":"/l","linux":{"security_context":{"namespace_options":{"network":2}}}, "unknown": 1}""", "f");
        ContainerConfig container = CriFile.Parse<ContainerConfig>("""{"metadata":{"name":"c"},"image":{"image":"busybox"},"envs":[{"key":"A","value":"plain text"}],"command":["top"],"log_path":"c.log"}""", "f");

        Assert.Equal(("p", "/l", NamespaceMode.Node), (pod.Metadata.Name, pod.LogDirectory, pod.Linux.SecurityContext.NamespaceOptions.Network));
        Assert.Equal(("busybox", "c.log", "plain text"), (container.Image.Image, container.LogPath, container.Envs[0].Value.ToStringUtf8()));
    }

    [Theory]
    [InlineData("metadata:\n  name: p", "YAML")]
    [InlineData("[]", "no JSON object")]
    [InlineData("""{"metadata":7}""", "does not fit CRI")]
    public void Files_that_are_not_those_are_refused(string text, string message) =>
        Assert.Contains(message, Assert.Throws<CommandLineException>(() => CriFile.Parse<PodSandboxConfig>(text, "f")).Message);

    [Fact]
    public void Whether_a_container_has_a_terminal_is_found_anywhere_in_its_info()
    {
        var facts = ContainerConfigFacts.Of([new("info", """{"config":{"tty":true,"x":[{"stdin":true}]}}"""), new("other", "text")]);
        Assert.Equal((true, true), (facts.Tty, facts.Stdin));
        Assert.False(ContainerConfigFacts.Of([new("info", """{"tty":false}""")]).Tty);
    }

    [Fact]
    public void Events_are_a_line_each()
    {
        var one = new ContainerEventResponse
        {
            ContainerId = "c1",
            ContainerEventType = ContainerEventType.ContainerStoppedEvent,
            CreatedAt = 1,
            PodSandboxStatus = new PodSandboxStatus { Id = "p1", Metadata = new PodSandboxMetadata { Name = "pod" } },
            ContainersStatuses = { new ContainerStatus { Id = "c1", ExitCode = 2, State = ContainerState.ContainerExited, Metadata = new ContainerMetadata { Name = "web" } } },
        };
        Assert.EndsWith(" container stopped c1 pod/web (exit status 2)", EventsCommand.Text(one));
    }

    private static string[] Lines(Table table, Palette palette)
    {
        using var text = new StringWriter { NewLine = "\n" };
        table.Write(text, palette);
        return text.ToString().TrimEnd('\n').Split('\n');
    }
}
