namespace Hearth.Lab.Tests.Pods;

/// <summary>The tests that share one hearthd.</summary>
[CollectionDefinition(Name)]
public sealed class PodCollection : ICollectionFixture<PodLab>
{
    public const string Name = "pods";
}
