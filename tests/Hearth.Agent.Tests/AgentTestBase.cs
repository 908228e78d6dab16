using Hearth.Agent.Protocol;

namespace Hearth.Agent.Tests;

/// <summary>A class of tests with an agent of its own; skipped where an agent cannot run.</summary>
public abstract class AgentTestBase : IClassFixture<AgentUnderTest>
{
    protected AgentTestBase(AgentUnderTest agent)
    {
        Assert.SkipWhen(AgentUnderTest.ReasonToSkip is not null, AgentUnderTest.ReasonToSkip ?? "");
        Agent = agent;
    }

    protected AgentUnderTest Agent { get; }

    protected AgentClient Client => Agent.Client;
}
