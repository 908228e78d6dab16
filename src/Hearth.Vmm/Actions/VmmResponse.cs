using System.Text.Json;

namespace Hearth.Vmm.Actions;

/// <summary>What an action answers: nothing (204), a value (200) or a fault (400, rarely another).</summary>
public abstract record VmmResponse
{
    /// <summary>Whether what was asked will go away: the answer then has a <c>Deprecation</c> header.</summary>
    public bool IsDeprecated { get; init; }

    /// <summary>Done, and there is nothing to tell.</summary>
    public static VmmResponse Empty { get; } = new VmmEmpty();
}

/// <summary>Success without a body.</summary>
public sealed record VmmEmpty : VmmResponse;

/// <summary>Success with a JSON body.</summary>
public sealed record VmmPayload(IJsonBody Body) : VmmResponse;

/// <summary>A failure; <paramref name="Message"/> becomes <c>fault_message</c>.</summary>
public sealed record VmmFault(string Message) : VmmResponse
{
    /// <summary>HTTP's status.</summary>
    public int Status { get; init; } = 400;

    /// <summary>Source: Firecracker <c>VmmActionError</c>; the same for the next one.</summary>
    public static VmmFault NotBeforeStart { get; } = new("The requested operation is not supported before starting the microVM.");

    public static VmmFault NotAfterStart { get; } = new("The requested operation is not supported after starting the microVM.");
}

/// <summary>Something that can write itself as one JSON value.</summary>
public interface IJsonBody
{
    void WriteTo(Utf8JsonWriter json);
}
