using Hearth.Linux;

namespace Hearth.Images.Store;

/// <summary>What to tell of a write to the store that failed.</summary>
internal static class StoreFailure
{
    public static ImageException Of(Exception e, string root) => DurableFile.IsFull(e)
        ? new ImageException(ImageFault.NoSpace, $"The disk with {root} is full. Make room (hearth rmi removes images), or have images kept elsewhere; what was begun is removed.", e)
        : new ImageException($"Cannot write under {root}: {e.Message}", e);
}
