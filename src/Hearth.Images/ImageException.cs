namespace Hearth.Images;

/// <summary>An image that cannot be made: one sentence that says what failed and what to do.</summary>
public sealed class ImageException : Exception
{
    public ImageException(string message)
        : base(message)
    {
    }

    public ImageException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
