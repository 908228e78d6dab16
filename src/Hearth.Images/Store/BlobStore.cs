using System.Security.Cryptography;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Linux;

namespace Hearth.Images.Store;

/// <summary>
/// Content by its digest: <c>blobs/sha256/HEX</c> is whole and was checked. What is coming in is <c>ingest/HEX.partial</c>,
/// brought by whoever has locked <c>ingest/HEX.lock</c>; others who want the same wait, and one left half-way is gone on with.
/// </summary>
internal sealed class BlobStore
{
    public const string PartialSuffix = ".partial";

    private const int BufferBytes = 256 << 10;
    private const int MaxFailures = 4;

    private readonly string _root;
    private readonly TimeSpan _retryDelay;

    /// <param name="root">The store's folder.</param>
    /// <param name="retryDelay">Before a broken transfer is gone on with; longer each time that nothing came.</param>
    public BlobStore(string root, TimeSpan retryDelay)
    {
        _root = root;
        _retryDelay = retryDelay;
    }

    private string Ingest => Path.Combine(_root, "ingest");

    public string PathOf(Digest digest) => Path.Combine(_root, "blobs", digest.Algorithm, digest.Hex);

    /// <summary>Makes content be here.</summary>
    /// <param name="blob">Its digest and size.</param>
    /// <param name="source">Where it comes from.</param>
    /// <param name="onBytes">Told how many bytes of it are here, now and then.</param>
    /// <param name="cancellation">Ends the transfer; what came stays for the next attempt.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="ImageException">It is not to be had, or is not what its digest and size say, or the disk is full.</exception>
    public async Task<string> GetAsync(Descriptor blob, IBlobSource source, Action<long> onBytes, CancellationToken cancellation)
    {
        string path = PathOf(blob.Digest);
        if (!File.Exists(path))
        {
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                Directory.CreateDirectory(Ingest);
                await TransferAsync(blob, path, source, onBytes, cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw StoreFailure.Of(e, _root);
            }
        }

        onBytes(blob.Size);
        return path;
    }

    /// <summary>Reads content that is small, like a configuration.</summary>
    public async Task<byte[]> ReadAsync(Descriptor blob, IBlobSource source, CancellationToken cancellation)
    {
        if (blob.Size > Manifest.MaxDocumentBytes)
        {
            throw new ImageException(ImageFault.TooLarge, $"{blob.Digest} has {blob.Size} bytes, and {Manifest.MaxDocumentBytes} is the most for a document.");
        }

        return await File.ReadAllBytesAsync(await GetAsync(blob, source, _ => { }, cancellation).ConfigureAwait(false), cancellation).ConfigureAwait(false);
    }

    private async Task TransferAsync(Descriptor blob, string path, IBlobSource source, Action<long> onBytes, CancellationToken cancellation)
    {
        string partial = Path.Combine(Ingest, blob.Digest.Hex + PartialSuffix);
        string lockPath = Path.Combine(Ingest, blob.Digest.Hex + ".lock");
        // Not a lock on the content's own file: it would stay on it past the rename, and keep readers out.
        using FileStream alone = await FileLock.WaitAsync(() => FileLock.TryExclusive(lockPath), cancellation).ConfigureAwait(false);
        if (File.Exists(path))
        {
            return;
        }

        using var file = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        try
        {
            bool resumed = file.Length > 0;
            Digest found = await ReceiveAsync(blob, file, source, onBytes, cancellation).ConfigureAwait(false);
            if (found != blob.Digest && resumed)
            {
                // What was left here may be what is wrong: a crash of the machine leaves files that were never written.
                file.SetLength(0);
                found = await ReceiveAsync(blob, file, source, onBytes, cancellation).ConfigureAwait(false);
            }

            if (found != blob.Digest)
            {
                throw new ImageException(ImageFault.BadContent, $"What came for {blob.Digest} is {found}. The registry, or something between, is broken or lies; nothing of it is kept.");
            }

            file.Flush(flushToDisk: true);
            DurableFile.Publish(partial, path);
        }
        catch (Exception e) when (DurableFile.IsFull(e) || e is ImageException { Fault: ImageFault.BadContent or ImageFault.TooLarge })
        {
            File.Delete(partial);
            throw;
        }
    }

    private async Task<Digest> ReceiveAsync(Descriptor blob, FileStream file, IBlobSource source, Action<long> onBytes, CancellationToken cancellation)
    {
        using IncrementalHash hash = blob.Digest.CreateHash();
        byte[] buffer = new byte[BufferBytes];
        long at = await HashWhatIsHereAsync(blob, file, hash, buffer, cancellation).ConfigureAwait(false);
        for (int failures = 0; at < blob.Size;)
        {
            try
            {
                using BlobContent content = await source.OpenAsync(blob, at, cancellation).ConfigureAwait(false);
                if (content.Offset != at)
                {
                    // A source that cannot begin in the middle begins anew.
                    hash.GetHashAndReset();
                    file.SetLength(0);
                    at = 0;
                }

                int read;
                while ((read = await ReadAsync(content.Stream, buffer, cancellation).ConfigureAwait(false)) > 0)
                {
                    if (read > blob.Size - at)
                    {
                        throw new ImageException(ImageFault.BadContent, $"{blob.Digest} is larger than the {blob.Size} bytes that the manifest tells of; nothing of it is kept.");
                    }

                    hash.AppendData(buffer, 0, read);
                    file.Write(buffer, 0, read);
                    at += read;
                    failures = 0;
                    onBytes(at);
                }

                if (at < blob.Size)
                {
                    throw new BrokenTransferException("the connection ended early");
                }
            }
            catch (BrokenTransferException e)
            {
                if (++failures >= MaxFailures)
                {
                    throw new ImageException(ImageFault.Unreachable, $"{blob.Digest} comes no further than {at} of {blob.Size} bytes: {e.Message}. What came is kept; try again later.", e);
                }

                await Task.Delay(_retryDelay * failures, cancellation).ConfigureAwait(false);
            }
        }

        return Digest.Finish(hash, blob.Digest);
    }

    private static async Task<long> HashWhatIsHereAsync(Descriptor blob, FileStream file, IncrementalHash hash, byte[] buffer, CancellationToken cancellation)
    {
        if (file.Length > blob.Size)
        {
            file.SetLength(0);
        }

        file.Position = 0;
        int read;
        while ((read = await file.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
        {
            hash.AppendData(buffer, 0, read);
        }

        return file.Position;
    }

    /// <summary>Keeps failures of the network apart from failures of the disk.</summary>
    private static async Task<int> ReadAsync(Stream stream, byte[] buffer, CancellationToken cancellation)
    {
        try
        {
            return await stream.ReadAsync(buffer, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or TimeoutException)
        {
            throw new BrokenTransferException(e.Message, e);
        }
    }

    private sealed class BrokenTransferException(string message, Exception? cause = null) : Exception(message, cause);
}
