using Hearth.Linux;

namespace Hearth.Images;

/// <summary>Why an image cannot be had, for callers that tell their own clients (gRPC codes, exit statuses).</summary>
public enum ImageFault
{
    /// <summary>What was asked makes no sense, or a tool failed.</summary>
    Other,

    /// <summary>The name is no image reference.</summary>
    InvalidReference,

    /// <summary>There is no such image here, or at its registry.</summary>
    NotFound,

    /// <summary>The registry refuses these credentials.</summary>
    Denied,

    /// <summary>The registry does not answer, or not in time.</summary>
    Unreachable,

    /// <summary>The image's bytes are not what they should be: a wrong digest, a broken archive, a hostile path.</summary>
    BadContent,

    /// <summary>The image is larger than the limits allow.</summary>
    TooLarge,

    /// <summary>The disk is full.</summary>
    NoSpace,
}

/// <summary>An image that cannot be made or had: one sentence that says what failed and what to do.</summary>
public sealed class ImageException : HearthException
{
    public ImageException(string message)
        : base(message)
    {
    }

    public ImageException(string message, Exception cause)
        : base(message, cause)
    {
    }

    public ImageException(ImageFault fault, string message, Exception? cause = null)
        : base(message, cause) => Fault = fault;

    public ImageFault Fault { get; }
}
