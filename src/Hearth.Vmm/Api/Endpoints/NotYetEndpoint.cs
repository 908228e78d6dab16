using Hearth.Vmm.Actions;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>
/// A part of Firecracker's API that is not there yet: whatever is asked of it is answered by saying so, so that nobody
/// takes a wrong path for a missing feature. The README's table lists them.
/// </summary>
internal sealed class NotYetEndpoint : Endpoint
{
    private readonly string _what;

    private NotYetEndpoint(string path, string what, bool hasId = false, string? section = null)
    {
        Path = path;
        HasId = hasId;
        Section = section;
        _what = what;
    }

    public static IEnumerable<Endpoint> All { get; } =
    [
        new NotYetEndpoint("balloon/statistics", "The balloon device"),
        new NotYetEndpoint("balloon/hinting/start", "The balloon device"),
        new NotYetEndpoint("balloon/hinting/status", "The balloon device"),
        new NotYetEndpoint("balloon/hinting/stop", "The balloon device"),
        new NotYetEndpoint("balloon", "The balloon device", section: "balloon"),
        new NotYetEndpoint("cpu-config", "Custom CPU configuration", section: "cpu-config"),
        new NotYetEndpoint("hotplug/memory", "Memory hot-plug", section: "memory-hotplug"),
        new NotYetEndpoint("pmem", "The pmem device", hasId: true, section: "pmem"),
        new NotYetEndpoint("snapshot/create", "Snapshots"),
        new NotYetEndpoint("snapshot/load", "Snapshots"),
    ];

    public override string Path { get; }

    public override bool HasId { get; }

    public override string? Section { get; }

    // What has ids in its path is many.
    public override bool SectionIsArray => HasId;

    public override VmmAction Get() => throw NotYet();

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body) => throw NotYet();

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body) => throw NotYet();

    public override VmmAction Delete(string id) => throw NotYet();

    private ApiException NotYet() => new($"{_what} (/{Path}) is not supported by hearth-vmm yet.");
}
