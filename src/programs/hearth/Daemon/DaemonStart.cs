using System.Collections;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Daemon;

/// <summary>Starts hearthd in the background, for a machine where no service does: as easy as a program without a daemon.</summary>
internal static class DaemonStart
{
    public const string Program = "hearthd";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <exception cref="CommandLineException">It cannot be started, or ended at once.</exception>
    public static async Task EnsureAsync(Settings settings, CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandLineException($"hearthd does not answer at {settings.Socket}. Start it (sudo systemctl start hearthd, or sudo hearthd), or run this as root.", CommandLineException.RuntimeFailed);
        }

        string program = ProgramPath.Find(Program)
            ?? throw new CommandLineException($"hearthd does not answer at {settings.Socket}, and there is no hearthd beside hearth or on PATH to start. Install it, or say with --host where it listens.", CommandLineException.RuntimeFailed);
        if (settings.Socket != settings.Config.Daemon.Socket)
        {
            throw new CommandLineException($"hearthd does not answer at {settings.Socket}. One that hearth starts listens at {settings.Config.Daemon.Socket}: leave --host and $HEARTH_SOCKET away, or start the daemon yourself.", CommandLineException.RuntimeFailed);
        }

        string log = Path.Combine(settings.Config.Daemon.State, "hearthd.log");
        Console.Error.WriteLine($"hearth: starting {program} in the background (its log: {log})");
        int pid = Spawn(program, settings.ConfigPath, log);
        DateTime end = DateTime.UtcNow + s_patience;
        while (!await DaemonClient.AnswersAsync(settings.Socket, cancellation))
        {
            if (HasEnded(pid))
            {
                throw new CommandLineException($"hearthd ended as soon as it was started: {LastLine(log)} (all of it: {log})", CommandLineException.RuntimeFailed);
            }

            if (DateTime.UtcNow > end)
            {
                throw new CommandLineException($"hearthd was started and does not answer at {settings.Socket} after {s_patience.TotalSeconds:0} s. Its log is {log}.", CommandLineException.RuntimeFailed);
            }

            await Task.Delay(50, cancellation);
        }
    }

    private static int Spawn(string program, string? config, string log)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(log)!);
        using FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        using FileDescriptor output = FileDescriptor.Open(log, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_CLOEXEC, 0x180);
        string[] arguments = config is null ? [program] : [program, "--config", Path.GetFullPath(config)];
        string[] environment = [.. from DictionaryEntry variable in Environment.GetEnvironmentVariables() select $"{variable.Key}={variable.Value}"];
        // A session of its own: Ctrl-C at this terminal is not meant for it.
        return ChildProcess.Spawn(program, arguments, environment, [nothing, output, output], newSession: true);
    }

    // A child that nobody reaped is still there, as a zombie.
    private static bool HasEnded(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].StartsWith('Z');
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static string LastLine(string log)
    {
        try
        {
            return File.ReadLines(log).LastOrDefault(line => line.Trim().Length > 0)?.Trim() ?? "it said nothing";
        }
        catch (IOException)
        {
            return "it said nothing";
        }
    }
}
