using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests;

/// <summary>A machine that has nothing to boot from.</summary>
public sealed class GuestFilesTests
{
    [Fact]
    public void What_is_missing_is_named_with_its_key_and_who_makes_it_in_no_words_that_managers_take_for_the_containers()
    {
        string there = typeof(GuestFilesTests).Assembly.Location;
        GuestFiles.Check(new MicrovmConfig { Kernel = there, Initrd = there });
        foreach ((MicrovmConfig config, string key) in new[] { (new MicrovmConfig { Kernel = "/nowhere", Initrd = there }, "kernel"), (new MicrovmConfig { Kernel = there, Initrd = "/nowhere" }, "initrd") })
        {
            string message = Assert.Throws<HearthException>(() => GuestFiles.Check(config)).Message;
            Assert.Equal($"The guest's {key} /nowhere is not there ({key} of [microvm] in hearth.toml): install one there, or make one (hearth {key} build).", message);
            // Podman's own expressions: libpod/oci_conmon.go, getOCIRuntimeError.
            Assert.DoesNotMatch("(?i)executable file not found in|no such file or directory|permission denied|operation not permitted", message);
        }
    }
}
