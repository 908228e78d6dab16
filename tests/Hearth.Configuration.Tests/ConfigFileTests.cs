using System.Reflection;
using System.Text.RegularExpressions;
using CsCheck;

namespace Hearth.Configuration.Tests;

public sealed class ConfigFileTests
{
    [Fact]
    public void The_default_text_has_no_mistake_and_says_the_defaults()
    {
        ConfigFile file = ConfigFile.Parse(HearthConfig.DefaultText, "hearth.toml");
        Assert.Empty(file.Problems);
        Assert.Equal(new HearthConfig().ToToml(), file.Config.ToToml());
        Assert.Equal(new DaemonConfig(), file.Config.Daemon);
        Assert.Equal(new MicrovmConfig(), file.Config.Microvm);
    }

    [Fact]
    public void Every_property_has_a_key_and_every_key_changes_its_property()
    {
        Check(new DaemonConfig(), ConfigSchema.Daemon);
        Check(new MicrovmConfig(), ConfigSchema.Microvm);
        Check(new OciConfig(), ConfigSchema.Oci);
        Check(new ImagesConfig(), ConfigSchema.Images);
        Check(new NetworkConfig(), ConfigSchema.Network);
        Check(new RegistryConfig { Host = "" }, ConfigSchema.Registry);

        static void Check<T>(T record, ConfigKey<T>[] keys)
        {
            IEnumerable<string> properties = typeof(T).GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(property => Snake(property.Name));
            Assert.Equal(properties.Order(), keys.Select(key => key.Name).Order());
            foreach (ConfigKey<T> key in keys)
            {
                object other = key.Get(record) switch
                {
                    bool flag => !flag,
                    long number => number + 1,
                    string text => text + "x",
                    _ => (IReadOnlyList<string>)["other"],
                };
                T changed = key.Set(record, other);
                Assert.Equal(other, key.Get(changed));
                Assert.All(keys.Where(one => one.Name != key.Name), one => Assert.Equal(one.Get(record), one.Get(changed)));
            }
        }

        static string Snake(string name) => Regex.Replace(name, "(?<=.)([A-Z])", "_$1").ToLowerInvariant();
    }

    [Fact]
    public void All_kinds_of_values_are_read()
    {
        ConfigFile file = ConfigFile.Parse(
            """
            [daemon]
            socket = "/tmp/a b.sock" # a comment
            stream_port = 10_010
            auto_host_namespaces = true
            log_level = 'debug'

            [network]
            cni_bin = [
              "/one",
              "/two",
            ]

            [[registries]]
            host = "docker.io"
            mirrors = ["a.example", "b.example:5000"]
            [[registries]]
            host = "plain.example"
            plain_http = true
            """,
            "x");
        Assert.Empty(file.Problems);
        Assert.Equal("/tmp/a b.sock", file.Config.Daemon.Socket);
        Assert.Equal(10010, file.Config.Daemon.StreamPort);
        Assert.True(file.Config.Daemon.AutoHostNamespaces);
        Assert.Equal("debug", file.Config.Daemon.LogLevel);
        Assert.Equal(["/one", "/two"], file.Config.Network.CniBin);
        Assert.Equal(["docker.io", "plain.example"], file.Config.Registries.Select(registry => registry.Host));
        Assert.Equal(["a.example", "b.example:5000"], file.Config.Registries[0].Mirrors);
        Assert.True(file.Config.Registries[1].PlainHttp);
    }

    [Theory]
    [InlineData("[daemon]\nsockt = \"/x\"", "c.toml:2:1: unknown key \"sockt\"")]
    [InlineData("[microvm]\n\n  memory-mib = 5", "c.toml:3:3: unknown key \"memory-mib\"; is \"memory_mib\" meant?")]
    [InlineData("[demon]", "c.toml:1:2: unknown section \"demon\"")]
    [InlineData("socket = \"/x\"", "c.toml:1:1: unknown key \"socket\"")]
    [InlineData("[daemon]\nsocket = 5", "c.toml:2:10: socket: a string is wanted")]
    [InlineData("[microvm]\nvcpus = \"2\"", "c.toml:2:9: vcpus: a whole number is wanted")]
    [InlineData("[microvm]\nvcpus = 33", "c.toml:2:9: vcpus: 33 is not between 1 and 32")]
    [InlineData("[microvm]\njail = 1", "c.toml:2:8: jail: true or false")]
    [InlineData("[daemon]\nlog_level = \"loud\"", "c.toml:2:13: log_level: \"loud\" is none of \"trace\"")]
    [InlineData("[daemon]\nroot = \"var/lib\"", "c.toml:2:8: root: \"var/lib\" is no absolute path")]
    [InlineData("[microvm]\nmonitor = \"./vmm\"", "c.toml:2:11: monitor: \"./vmm\" is neither")]
    [InlineData("[network]\ncni_bin = [\"/a\", 3]", "c.toml:2:11: cni_bin: a list of strings")]
    [InlineData("[network]\ncni_bin = [\"/a\", \"b\"]", "c.toml:2:11: cni_bin: \"b\" is no absolute path")]
    [InlineData("[network]\nsubnet = \"10.0.0.1\"", "c.toml:2:10: subnet: ")]
    [InlineData("[registries]\nhost = \"x\"", "c.toml:1:2: each registry is a section [[registries]]")]
    [InlineData("[[daemon]]", "c.toml:1:3: there is one section [daemon]")]
    [InlineData("[[registries]]\nplain_http = true", "c.toml:1:3: a registry needs a host")]
    [InlineData("[[registries]]\nhost = \"x\"\n[[registries]]\nhost = \"x\"", "c.toml:4:8: \"x\" has a section already")]
    [InlineData("[daemon]\nstream_key = \"/k\"", "c.toml:2:14: stream_certificate and stream_key go together")]
    [InlineData("[daemon]\nmetrics_address = \"9500\"", "c.toml:2:19: metrics_address: \"9500\" is no address with a port")]
    [InlineData("[daemon]\nsocket \"/x\"", "c.toml:2:")]
    [InlineData("[daemon]\nsocket = \"/x", "c.toml:2:")]
    [InlineData("[daemon]\nsocket = \"/a\"\nsocket = \"/b\"", "c.toml:3:")]
    [InlineData("[daemon]\n[daemon]", "c.toml:2:")]
    [InlineData("[daemon]\nsocket = \"\\u00", "c.toml:2:")]
    public void Mistakes_are_named_with_their_place(string toml, string problem)
    {
        ConfigFile file = ConfigFile.Parse(toml, "c.toml");
        Assert.NotEmpty(file.Problems);
        Assert.StartsWith(problem, file.Problems[0].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_mistake_is_told_of_at_once()
    {
        ConfigFile file = ConfigFile.Parse("[daemon]\na = 1\nsocket = 2\n[x]\n[images]\nb = 3\n", "c.toml");
        Assert.Equal([2, 3, 4, 6], file.Problems.Select(problem => problem.Line));
    }

    [Fact]
    public void The_host_is_looked_at_for_files_and_programs()
    {
        ConfigFile file = ConfigFile.Parse("[microvm]\nkernel = \"/nowhere/vmlinux\"\nshim = \"no-such-program\"\nmonitor = \"/bin/sh\"\n", "c.toml");
        Assert.Empty(file.Problems);
        string[] found = [.. file.CheckHost().Select(problem => problem.ToString())];
        Assert.Contains("c.toml:2:10: kernel: there is no file \"/nowhere/vmlinux\"", found);
        Assert.Contains(found, problem => problem.StartsWith("c.toml:3:8: shim: there is no program \"no-such-program\"", StringComparison.Ordinal));
        Assert.DoesNotContain(found, problem => problem.Contains("monitor"));
        Assert.Contains(found, problem => problem.StartsWith("c.toml: microvm.initrd (the default): ", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        var config = new HearthConfig
        {
            Daemon = new DaemonConfig { Socket = "/a\"b\\c\u0001", StreamPort = 7 },
            Images = new ImagesConfig { Pinned = ["a", "b\nc"] },
            Registries = [new RegistryConfig { Host = "h:1", Mirrors = ["m"], PlainHttp = true, Username = "ü" }],
        };
        ConfigFile file = ConfigFile.Parse(config.ToToml(), "x");
        Assert.Empty(file.Problems);
        Assert.Equal(config.Daemon, file.Config.Daemon);
        Assert.Equal(config.Images.Pinned, file.Config.Images.Pinned);
        Assert.Equal(config.ToToml(), file.Config.ToToml());
    }

    [Fact]
    public void Any_text_is_read_or_refused_and_nothing_else()
    {
        string[] pieces = ["[daemon]", "[[registries]]", "socket", "=", "\"", "'", "\n", "[", "]", "1", "true", "{", "}", ".", ",", "#", "\u0000", "host", "é", "\\u00", "'''"];
        Gen.Int[0, pieces.Length - 1].Array[0, 30].Select(picks => string.Concat(picks.Select(pick => pieces[pick])))
            .Sample(text => ConfigFile.Parse(text, "x") is not null);
    }

    [Fact]
    public void A_program_is_found_on_path_or_by_its_own()
    {
        Assert.NotNull(ProgramPath.Find("sh"));
        Assert.Equal("/bin/sh", ProgramPath.Find("/bin/sh"));
        Assert.Null(ProgramPath.Find("/etc/passwd"));
        Assert.Null(ProgramPath.Find("/etc"));
        Assert.Null(ProgramPath.Find("no such program"));
    }

    [Fact]
    public void A_file_that_is_not_there_is_said_so()
    {
        ConfigException e = Assert.Throws<ConfigException>(() => HearthConfig.Load("/nowhere/hearth.toml"));
        Assert.StartsWith("/nowhere/hearth.toml: cannot be read", e.Message, StringComparison.Ordinal);
    }
}
