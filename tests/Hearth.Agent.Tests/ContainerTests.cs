



namespace Hearth.Agent.Tests;

/// <summary>Containers by the published agent, in namespaces of this machine.</summary>
public sealed class ContainerTests(AgentUnderTest agent) : IClassFixture<AgentUnderTest>
{
    [Fact]
    public async Task A_container_runs_and_its_output_and_exit_code_come_back()
    {
        NeedsRoot();
        Assert.Equal(new Ended(42, "out\n", "err\n"), await agent.RunAsync("echo out; echo err >&2; exit 42"));
    }

    private static void NeedsRoot() => Assert.SkipWhen(AgentUnderTest.ReasonToSkip is not null, AgentUnderTest.ReasonToSkip ?? "");
}
