using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api;

/// <summary>
/// One resource of the API: which methods it has, and which action each body means. A file in <c>Endpoints/</c> each,
/// with its actions beside it; <see cref="RouteTable"/> lists them. Thread: the API thread.
/// </summary>
public abstract class Endpoint
{
    /// <summary>The path without the leading slash and without an id: <c>drives</c>, <c>vm/config</c>; empty for <c>/</c>.</summary>
    public abstract string Path { get; }

    /// <summary>Whether an id follows the path.</summary>
    public virtual bool HasId => false;

    /// <summary>This resource's section of the config file and of GET /vm/config (its kebab-case key); null if it has none.</summary>
    public virtual string? Section => null;

    /// <summary>Whether the section is an array of bodies.</summary>
    public virtual bool SectionIsArray => false;

    /// <summary>Firecracker's name for this resource in the metrics of requests: <c>drive</c>; null if it has none.</summary>
    public virtual string? MetricName => null;

    /// <summary>Whether GET /vm/config has the section at all; where Firecracker has no such section, only if it is used.</summary>
    public virtual bool HasSection(VmResources resources) => Section is not null;

    public virtual VmmAction? Get() => null;

    /// <param name="id">From the path; null in the config file, where the body's own counts.</param>
    /// <param name="body">Not empty.</param>
    public virtual VmmAction? Put(string? id, ReadOnlySpan<byte> body) => null;

    public virtual VmmAction? Patch(string? id, ReadOnlySpan<byte> body) => null;

    public virtual VmmAction? Delete(string id) => null;

    /// <summary>Writes the section's value, if there is one; false leaves it <c>null</c>.</summary>
    public virtual bool WriteSection(Utf8JsonWriter json, VmResources resources) => false;
}
