using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Tests.Machine;

/// <summary>Real mounts, in a mount namespace that ends with each test.</summary>
public sealed class SharedFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-share-").FullName;

    public SharedFolderTests()
    {
        Assert.SkipUnless(Environment.UserName == "root", "mounts: needs root");
        Directory.CreateDirectory(Shared);
        Directory.CreateDirectory(Source);
    }

    private string Shared => Path.Combine(_folder, "shared");

    private string Source => Path.Combine(_folder, "source");

    // The mounts went with their namespace: what they showed is not below here any more.
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Files_and_folders_are_shown_live_and_what_is_read_only_stays_so() => InNamespace(() =>
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "one");
        var shared = new SharedFolder(Shared);
        (string name, bool isSealed) = shared.AddBind(file, recursive: false, ReadOnlyPart.Itself, keepsUp: false);
        Assert.True(isSealed);
        Assert.Equal("one", File.ReadAllText($"{Shared}/{name}"));
        Assert.ThrowsAny<IOException>(() => File.WriteAllText($"{Shared}/{name}", "two"));
        (string folder, isSealed) = shared.AddBind(Source, recursive: true, ReadOnlyPart.Nothing, keepsUp: false);
        Assert.False(isSealed);
        Assert.NotEqual(name, folder);
        File.WriteAllText($"{Shared}/{folder}/new", "three");
        Assert.Equal("three", File.ReadAllText($"{Source}/new"));
        shared.Remove(name);
        shared.Remove(folder);
        shared.Remove(folder);
        Assert.Empty(Directory.GetFileSystemEntries(Shared));
        Assert.Equal(("one", "three"), (File.ReadAllText(file), File.ReadAllText($"{Source}/new")));
    });

    [Fact]
    public void What_the_host_mounts_later_appears_only_where_it_shall() => InNamespace(() =>
    {
        string below = Directory.CreateDirectory(Path.Combine(Source, "below")).FullName;
        Mounts.Mount(Source, Source, null, SysMount.MS_BIND);
        Mounts.Mount(null, Source, null, SysMount.MS_SHARED);
        var shared = new SharedFolder(Shared);
        string follows = shared.AddBind(Source, recursive: true, ReadOnlyPart.Nothing, keepsUp: true).Name;
        string stays = shared.AddBind(Source, recursive: true, ReadOnlyPart.Nothing, keepsUp: false).Name;
        Mounts.Mount("tmpfs", below, "tmpfs", 0);
        File.WriteAllText($"{below}/late", "");
        Assert.True(File.Exists($"{Shared}/{follows}/below/late"));
        Assert.False(File.Exists($"{Shared}/{stays}/below/late"));
        // Nothing that happens in the share comes back.
        Mounts.Mount("tmpfs", $"{Shared}/{follows}/below", "tmpfs", 0);
        Assert.True(File.Exists($"{below}/late"));
    });

    [Fact]
    public void Read_only_is_a_mount_itself_or_all_that_is_below_it() => InNamespace(() =>
    {
        string below = Directory.CreateDirectory(Path.Combine(Source, "below")).FullName;
        Mounts.Mount("tmpfs", below, "tmpfs", 0);
        var shared = new SharedFolder(Shared);

        (string itself, bool isSealed) = shared.AddBind(Source, recursive: true, ReadOnlyPart.Itself, keepsUp: false);
        Assert.False(isSealed);
        Assert.ThrowsAny<IOException>(() => File.WriteAllText($"{Shared}/{itself}/new", ""));
        File.WriteAllText($"{Shared}/{itself}/below/new", "");
        Assert.True(File.Exists($"{below}/new"));

        (string all, isSealed) = shared.AddBind(Source, recursive: true, ReadOnlyPart.All, keepsUp: false);
        Assert.True(isSealed);
        Assert.ThrowsAny<IOException>(() => File.WriteAllText($"{Shared}/{all}/new", ""));
        Assert.ThrowsAny<IOException>(() => File.WriteAllText($"{Shared}/{all}/below/newer", ""));

        // Without what is mounted below, or where that is read-only too, nothing can be written; what comes later might.
        Assert.True(shared.AddBind(Source, recursive: false, ReadOnlyPart.Itself, keepsUp: false).IsSealed);
        Assert.False(shared.AddBind(Source, recursive: false, ReadOnlyPart.Itself, keepsUp: true).IsSealed);
        Mounts.SetReadOnly(below);
        Assert.True(shared.AddBind(Source, recursive: true, ReadOnlyPart.Itself, keepsUp: false).IsSealed);
        Mounts.Detach(below);
    });

    [Fact]
    public void What_is_mounted_in_another_namespace_is_bound_from_there() => InNamespace(() =>
    {
        string target = Directory.CreateDirectory(Path.Combine(_folder, "target")).FullName;
        using FileDescriptor tree = Namespaces.OnOwnThread(() =>
        {
            Namespaces.Unshare(Sched.CLONE_NEWNS);
            Mounts.Mount("tmpfs", Source, "tmpfs", 0);
            Mounts.Mount("tmpfs", Directory.CreateDirectory(Path.Combine(Source, "below")).FullName, "tmpfs", 0);
            File.WriteAllText($"{Source}/below/file", "there");
            return Mounts.Clone(Source, recursive: true);
        });
        Assert.Empty(Directory.GetFileSystemEntries(Source));
        Mounts.Attach(tree, target);
        Assert.Equal("there", File.ReadAllText($"{target}/below/file"));
    });

    [Fact]
    public void An_overlay_of_more_layers_than_a_page_of_options_holds_is_mounted() => InNamespace(() =>
    {
        // On tmpfs, which takes an upper layer on every kernel.
        Mounts.Mount("tmpfs", Source, "tmpfs", 0);
        const int layers = 60;
        string deep = $"{Source}/{new string('x', 80)}";
        for (int i = 0; i < layers; i++)
        {
            File.WriteAllText($"{Directory.CreateDirectory($"{deep}/{i}").FullName}/of-{i}", "");
        }

        Directory.CreateDirectory($"{Source}/upper");
        Directory.CreateDirectory($"{Source}/work");
        var mount = new Mount
        {
            Type = "overlay",
            Source = "overlay",
            Options = { $"lowerdir={string.Join(':', Enumerable.Range(0, layers).Select(i => $"{deep}/{i}"))}", $"upperdir={Source}/upper", $"workdir={Source}/work", "rw" },
        };
        string name = new SharedFolder(Shared).AddMounts([mount]);
        Assert.Equal(layers, Directory.GetFiles($"{Shared}/{name}").Length);
        File.WriteAllText($"{Shared}/{name}/changed", "");
        Assert.True(File.Exists($"{Source}/upper/changed"));
    });

    [Fact]
    public void What_cannot_be_mounted_leaves_nothing() => InNamespace(() =>
    {
        var shared = new SharedFolder(Shared);
        Assert.Throws<HearthException>(() => shared.AddBind("/no/such/file", recursive: true, ReadOnlyPart.Itself, keepsUp: false));
        Assert.ThrowsAny<HearthException>(() => shared.AddMounts([new Mount { Type = "bind", Source = Source }, new Mount { Type = "nosuchfs", Source = "x" }]));
        Assert.Empty(Directory.GetFileSystemEntries(Shared));
        Assert.True(Directory.Exists(Source));
    });

    private static void InNamespace(Action work) => Namespaces.OnOwnThread(() =>
    {
        Namespaces.Unshare(Sched.CLONE_NEWNS);
        Mounts.Mount(null, "/", null, SysMount.MS_PRIVATE | SysMount.MS_REC);
        work();
        return true;
    });
}
