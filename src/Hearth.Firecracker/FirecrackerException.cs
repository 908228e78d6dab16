namespace Hearth.Firecracker;

/// <summary>A request that the monitor refused, or that it never answered.</summary>
public sealed class FirecrackerException : Exception
{
    internal FirecrackerException(string message, int? status, string? faultMessage, Exception? cause = null)
        : base(message, cause)
    {
        Status = status;
        FaultMessage = faultMessage;
    }

    /// <summary>The answer's HTTP status; null where there was no answer.</summary>
    public int? Status { get; }

    /// <summary>The answer's <c>fault_message</c>, in the monitor's own words; null where it has none.</summary>
    public string? FaultMessage { get; }
}
