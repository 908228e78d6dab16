using System.Diagnostics;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Cli;
using Hearth.Images.Tests.Registries;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Store;

/// <summary>kill -9 of a pull, wherever it is: the next one ends as if nothing had been.</summary>
public sealed class KillTests : IDisposable
{
    private const int Rounds = 12;

    private readonly TemporaryFolder _folder = new();
    private readonly FakeRegistry _registry = new();

    public void Dispose()
    {
        _registry.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_pull_that_is_killed_anywhere_is_gone_on_with()
    {
        var random = new Random(4);
        byte[] noise = new byte[6 << 20];
        random.NextBytes(noise);
        var image = new TestImage(new TarBuilder().Entry("a", '0', noise).Build(), new TarBuilder().Entry("b", '0', noise[..(3 << 20)]).File("c").Build());
        _registry.Add(image, "app", "1");
        string name = $"{_registry.Host}/app:1";
        Image whole = await new ImageStore(_folder["whole"]).PullAsync(ImageReference.Parse(name));
        byte[] expected = File.ReadAllBytes(whole.RootFilesystem);
        var clock = Stopwatch.StartNew();
        using (Process undisturbed = Pull(name, "undisturbed"))
        {
            undisturbed.WaitForExit();
        }

        int spanMs = (int)clock.ElapsedMilliseconds + 1;
        for (int round = 0; round < Rounds; round++)
        {
            using Process pull = Pull(name, "store");
            // Any moment of a pull will do; what is asserted holds at each.
            pull.WaitForExit(random.Next(spanMs));
            pull.Kill();
            pull.WaitForExit();
            var store = new ImageStore(_folder["store"]);
            foreach (Image listed in store.List())
            {
                Assert.Equal(expected, File.ReadAllBytes(listed.RootFilesystem));
                if (round % 2 == 0)
                {
                    store.Untag(listed.Id.ToString());
                    store.CollectGarbage();
                }
            }
        }

        Image image2 = await new ImageStore(_folder["store"]).PullAsync(ImageReference.Parse(name));
        Assert.Equal(expected, File.ReadAllBytes(image2.RootFilesystem));
        new ImageStore(_folder["store"]).CollectGarbage();
        Assert.Equal([image2.Folder], Directory.GetFileSystemEntries(_folder["store/images"]));
    }

    private Process Pull(string name, string store) =>
        Process.Start(new ProcessStartInfo(HearthProgram.Path, ["pull", "--root", _folder[store], name]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
}
