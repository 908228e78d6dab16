using System.Text;
using Hearth.Linux;

namespace Hearth.Programs.Agent;

/// <summary>The agent's words, on its standard error: in a guest, the console. Thread: any.</summary>
internal static class AgentLog
{
    // Not Console: that one installs handlers for signals and children, which are the agent's own to wait for.
    private static readonly FileDescriptor s_error = new(2, ownsHandle: false);

    public static void Error(string message) => Write($"hearth-agent: {message}\n");

    public static void Information(string message) => Write($"hearth-agent: {message}\n");

    private static void Write(string line) => _ = Polling.WriteWithoutBlocking(s_error, Encoding.UTF8.GetBytes(line));
}
