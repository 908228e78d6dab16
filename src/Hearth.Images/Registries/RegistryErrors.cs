using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>Turns what registries and networks answer into sentences.</summary>
internal static class RegistryErrors
{
    public const string LogIn = "Log in (docker login, skopeo login), or check the name: registries answer so for images that do not exist, too.";

    private const int MaxErrorBytes = 64 << 10;

    /// <summary>Reads an answer of limited size.</summary>
    public static async Task<byte[]> ReadAsync(HttpResponseMessage response, int maxBytes, CancellationToken cancellation)
    {
        using Stream body = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        var bytes = new byte[Math.Min(maxBytes + 1, 64 << 10)];
        int got = 0;
        while (await body.ReadAsync(bytes.AsMemory(got), cancellation).ConfigureAwait(false) is var read and > 0)
        {
            got += read;
            if (got > maxBytes)
            {
                throw new ImageException(ImageFault.TooLarge, $"{response.RequestMessage?.RequestUri} answered with more than {maxBytes} bytes.");
            }

            if (got == bytes.Length)
            {
                Array.Resize(ref bytes, Math.Min(maxBytes + 1, bytes.Length * 2));
            }
        }

        return bytes[..got];
    }

    /// <summary>A refusal, as an exception.</summary>
    public static async Task<ImageException> OfAsync(HttpResponseMessage response, string what, string registry, CancellationToken cancellation)
    {
        string detail = await DetailAsync(response, cancellation).ConfigureAwait(false);
        return response.StatusCode switch
        {
            HttpStatusCode.NotFound => new ImageException(ImageFault.NotFound, $"{registry} has no {what}{detail}. Check the name and the tag."),
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new ImageException(ImageFault.Denied, $"{registry} does not give {what} to you{detail}. {LogIn}"),
            HttpStatusCode.TooManyRequests => new ImageException(ImageFault.Unreachable, $"{registry} limits how often it is asked{detail}. Log in for a higher limit, or try later."),
            _ => new ImageException(ImageFault.Unreachable, $"{registry} answered {(int)response.StatusCode} {response.ReasonPhrase} for {what}{detail}. Try later, or look at the registry's log."),
        };
    }

    /// <summary>A connection that was not made, or broke.</summary>
    public static ImageException Of(Exception failure, string what, RegistryEndpoint endpoint)
    {
        string cause = failure switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "its name is unknown (DNS)",
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "TLS fails; a registry without TLS has to be configured as one (plain HTTP)",
            HttpRequestException { InnerException: SocketException socket } => Words(socket),
            OperationCanceledException or TimeoutException => failure is TimeoutException ? failure.Message : "it does not answer in time",
            _ => failure.InnerException?.Message ?? failure.Message,
        };
        return new ImageException(ImageFault.Unreachable, $"Cannot get {what} from {endpoint.Base.Authority}: {cause}. Check the registry's address and this machine's network.", failure);
    }

    private static string Words(SocketException socket) => socket.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "nothing listens there (connection refused)",
        SocketError.HostNotFound or SocketError.TryAgain => "its name is unknown (DNS)",
        SocketError.TimedOut => "it does not answer in time",
        _ => socket.Message,
    };

    private static async Task<string> DetailAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        try
        {
            byte[] json = await ReadAsync(response, MaxErrorBytes, cancellation).ConfigureAwait(false);
            ErrorEntry? error = JsonSerializer.Deserialize(json, OciJson.Default.ErrorsDocument)?.Errors?.FirstOrDefault();
            string? text = error?.Message ?? error?.Code;
            return string.IsNullOrEmpty(text) ? string.Empty : $" ({Tar.RawName.Show(Tar.RawName.Of(text))})";
        }
        catch (Exception e) when (e is JsonException or ImageException or IOException or HttpRequestException)
        {
            // The status says enough.
            return string.Empty;
        }
    }
}
