using Hearth.Linux.Native;

namespace Hearth.Linux.Tests;

public class CredentialsTests
{
    [Fact]
    public void Descriptors_are_raised_to_what_is_wanted_and_may_be_had_and_never_lowered()
    {
        ulong hard = Credentials.HardLimitOf(SysResource.RLIMIT_NOFILE);
        // The runtime has raised its own already.
        Credentials.SetLimit(SysResource.RLIMIT_NOFILE, 500, hard);
        Assert.Equal(600UL, Credentials.RaiseOpenFiles(600));
        Assert.Equal(600UL, Credentials.RaiseOpenFiles(100));
        Assert.Equal(hard, Credentials.RaiseOpenFiles(ulong.MaxValue));
        Assert.Equal(hard, Credentials.RaiseOpenFiles(0));
    }
}
