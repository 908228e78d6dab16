using System.Globalization;
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

    [Fact]
    public void A_thread_gives_up_capabilities_and_what_it_starts_has_them_again()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "gives up what only root has");
        ulong before = Set("CapPrm", "/proc/thread-self/status");
        (ulong permitted, ulong effective, string refused, ulong child) = Namespaces.OnOwnThread(() =>
        {
            Credentials.LimitCapabilities(Credentials.Mask(LinuxCapability.CAP_CHOWN, LinuxCapability.CAP_DAC_OVERRIDE));
            // What is not permitted any more is not given by a greater mask either.
            Credentials.LimitCapabilities(ulong.MaxValue);
            (ulong, ulong) left = (Set("CapPrm", "/proc/thread-self/status"), Set("CapEff", "/proc/thread-self/status"));
            string refusal = Assert.Throws<LinuxException>(static () => Namespaces.Unshare(Sched.CLONE_NEWUTS)).Message;
            string file = Path.GetTempFileName();
            using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDONLY))
            using (FileDescriptor output = FileDescriptor.Open(file, Fcntl.O_RDWR))
            {
                _ = ChildProcess.Reap(ChildProcess.Spawn("/bin/cat", ["cat", "/proc/self/status"], [], [nothing, output, output]));
            }

            ulong childs = Set("CapEff", file);
            File.Delete(file);
            return (left.Item1, left.Item2, refusal, childs);
        });

        Assert.Equal((3ul, 3ul, before), (permitted & before, effective & before, child));
        Assert.Contains("unshare", refused, StringComparison.Ordinal);
        Assert.Equal(before, Set("CapPrm", "/proc/thread-self/status"));
    }

    [Fact]
    public void Work_on_the_runtimes_thread_is_done_there_and_its_failure_told_here()
    {
        int here = Environment.CurrentManagedThreadId, there = 0;
        FinalizerThread.Run(() => there = Environment.CurrentManagedThreadId);
        Assert.NotEqual(0, there);
        Assert.NotEqual(here, there);
        Assert.Throws<HearthException>(static () => FinalizerThread.Run(static () => throw new HearthException("no")));
    }

    private static ulong Set(string name, string file) => ulong.Parse(
        File.ReadAllLines(file).Single(line => line.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..],
        NumberStyles.HexNumber,
        CultureInfo.InvariantCulture);
}
