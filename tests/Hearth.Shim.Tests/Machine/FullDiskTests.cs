using System.Diagnostics;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>A machine whose pod's folder is on a disk without room.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-full-").FullName;

    public FullDiskTests()
    {
        Assert.SkipWhen(ShimUnderTest.ReasonToSkip is not null, ShimUnderTest.ReasonToSkip ?? "");
        Run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", _folder);
        File.WriteAllBytes(Path.Combine(_folder, "fill"), new byte[4096]);
    }

    public void Dispose()
    {
        Run("umount", _folder);
        Directory.Delete(_folder);
    }

    [Fact]
    public async Task It_says_so_and_neither_keeps_the_folder_nor_leaves_it()
    {
        string file = typeof(FullDiskTests).Assembly.Location;
        string pod = Path.Combine(_folder, "pod");
        var options = new PodMachineOptions
        {
            PodId = "p",
            Folder = pod,
            Config = new HearthConfig { Microvm = new MicrovmConfig { Kernel = file, Initrd = file } },
            Vcpus = 1,
            MemoryMib = 64,
            NetworkNamespace = null,
            Hostname = "",
            Warn = static _ => { },
            Detail = static _ => { },
            Sysctls = new Dictionary<string, string>(),
        };

        HearthException failure = await Assert.ThrowsAsync<HearthException>(() => PodMachine.StartAsync(options, TestContext.Current.CancellationToken));

        Assert.Contains("No space left on device", failure.Message);
        Assert.Contains($"Make room on the disk of {pod}", failure.Message);
        Assert.False(Directory.Exists(pod));
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
