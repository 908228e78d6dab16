using Hearth.Linux;

namespace Hearth.Programs.Agent.Setup;

/// <summary>
/// The agent's program as process 1 of a pid namespace that the containers of a pod share: it waits for orphans and for
/// nothing else, until it is killed.
/// </summary>
internal static class PauseRole
{
    public const string Argument = "--pause";

    private const int PollMs = 1000;

    public static int Run()
    {
        Credentials.SetUndumpable();
        using var loop = new EventLoop();
        while (true)
        {
            int pid = ChildProcess.WaitAny();
            if (pid != ChildProcess.None)
            {
                ChildProcess.Reap(pid);
                continue;
            }

            // Orphans come without notice; a zombie may wait this long.
            loop.RunOnce(PollMs);
        }
    }
}
