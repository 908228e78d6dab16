using System.Net;
using System.Net.Http.Headers;
using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>A manifest or index as it was served, checked against its digest where one was asked for.</summary>
internal sealed record ServedManifest(byte[] Json, Digest Digest);

/// <summary>
/// Reads images from registries: the pull half of the OCI distribution protocol, which is all Hearth needs.
/// docs/decisions/0013 says why it is Hearth's own. May be used from many threads.
/// </summary>
internal sealed class RegistryClient : IDisposable
{
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(10);

    private readonly RegistryOptions _options;
    private readonly HttpClient _http;
    private readonly RegistryTokens _tokens;

    public RegistryClient(RegistryOptions options)
    {
        _options = options;
        // Redirects to a content network lose the Authorization header, and never go from HTTPS to HTTP: both are the handler's.
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = options.ConnectTimeout,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            MaxAutomaticRedirections = 10,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("hearth", typeof(RegistryClient).Assembly.GetName().Version?.ToString(3)));
        _tokens = new RegistryTokens(_http, options);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Gets the manifest or index that a reference names.</summary>
    /// <exception cref="ImageException">It is not there, not for us, not what its digest says, or the registry does not answer.</exception>
    public Task<ServedManifest> GetManifestAsync(ImageReference reference, CancellationToken cancellation) =>
        AnyEndpointAsync(reference, async endpoint =>
        {
            using HttpResponseMessage response = await SendAsync(
                endpoint, reference, $"{reference.Repository}/manifests/{reference.TagOrDigest}", reference.ToString(), MediaTypes.Accepted, 0, cancellation).ConfigureAwait(false);
            using var timed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timed.CancelAfter(_options.ResponseTimeout);
            byte[] json;
            try
            {
                json = await RegistryErrors.ReadAsync(response, Manifest.MaxDocumentBytes, timed.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (IsPassing(e) && !cancellation.IsCancellationRequested)
            {
                throw RegistryErrors.Of(e, reference.ToString(), endpoint);
            }

            if (reference.Digest is { } wanted && !wanted.Names(json))
            {
                throw new ImageException(ImageFault.BadContent, $"{endpoint.Name} served other bytes than {wanted} for {reference}. The registry, or something between, is broken or lies.");
            }

            return new ServedManifest(json, reference.Digest ?? Digest.Of(json));
        });

    /// <summary>The content of the repository that a reference names.</summary>
    public IBlobSource Blobs(ImageReference reference) => new Repository(this, reference);

    private async Task<T> AnyEndpointAsync<T>(ImageReference reference, Func<RegistryEndpoint, Task<T>> get)
    {
        var mirrors = new List<string>();
        RegistryEndpoint[] endpoints = [.. RegistryEndpoint.For(reference.Registry, _options)];
        for (int i = 0; ; i++)
        {
            try
            {
                return await get(endpoints[i]).ConfigureAwait(false);
            }
            catch (ImageException e) when (i < endpoints.Length - 1)
            {
                mirrors.Add(e.Message);
            }
            catch (ImageException e) when (mirrors.Count > 0)
            {
                throw new ImageException(e.Fault, $"{e.Message} Its mirrors failed before: {string.Join(" ", mirrors)}", e);
            }
        }
    }

    /// <summary>Asks until there is an answer that is a success.</summary>
    private async Task<HttpResponseMessage> SendAsync(
        RegistryEndpoint endpoint, ImageReference reference, string path, string what, string[] accept, long offset, CancellationToken cancellation)
    {
        bool answered = false;
        TimeSpan delay = _options.RetryDelay;
        for (int attempt = 1; ; attempt++)
        {
            HttpResponseMessage? response = null;
            try
            {
                using HttpRequestMessage request = Request(endpoint, reference, path, accept, offset);
                using var timed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                timed.CancelAfter(_options.ResponseTimeout);
                response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timed.Token).ConfigureAwait(false);
                if (response.IsSuccessStatusCode)
                {
                    return response;
                }

                if (response.StatusCode == HttpStatusCode.Unauthorized && !answered
                    && await _tokens.AnswerAsync(endpoint, reference.Repository, response, cancellation).ConfigureAwait(false) is not null)
                {
                    // Not a failure: asked again with the answer, once.
                    answered = true;
                    attempt--;
                    response.Dispose();
                    continue;
                }

                bool passing = (int)response.StatusCode >= 500 || response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout;
                if (!passing || attempt >= _options.Attempts)
                {
                    throw await RegistryErrors.OfAsync(response, what, endpoint.Name, timed.Token).ConfigureAwait(false);
                }

                delay = response.Headers.RetryAfter?.Delta is { } asked && asked < s_longestWait ? asked : delay;
            }
            catch (Exception e) when (IsPassing(e) && !cancellation.IsCancellationRequested)
            {
                // A host that hangs has had its time; one that resets or is restarting is asked again.
                if (e is OperationCanceledException or TimeoutException || attempt >= _options.Attempts)
                {
                    throw RegistryErrors.Of(e, what, endpoint);
                }
            }
            finally
            {
                if (response is { IsSuccessStatusCode: false })
                {
                    response.Dispose();
                }
            }

            await Task.Delay(delay, cancellation).ConfigureAwait(false);
            delay *= 2;
        }
    }

    private HttpRequestMessage Request(RegistryEndpoint endpoint, ImageReference reference, string path, string[] accept, long offset)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, endpoint.Url(path));
        foreach (string type in accept)
        {
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type));
        }

        request.Headers.Authorization = _tokens.Known(endpoint, reference.Repository);
        request.Headers.Range = offset > 0 ? new RangeHeaderValue(offset, null) : null;
        return request;
    }

    private static bool IsPassing(Exception e) => e is HttpRequestException or IOException or OperationCanceledException or TimeoutException;

    private sealed class Repository(RegistryClient client, ImageReference reference) : IBlobSource
    {
        public Task<BlobContent> OpenAsync(Descriptor blob, long offset, CancellationToken cancellation) =>
            client.AnyEndpointAsync(reference, async endpoint =>
            {
                HttpResponseMessage response = await client.SendAsync(
                    endpoint, reference, $"{reference.Repository}/blobs/{blob.Digest}", $"{blob.Digest} of {reference}", [], offset, cancellation).ConfigureAwait(false);
                Stream stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
                long from = response.StatusCode == HttpStatusCode.PartialContent ? response.Content.Headers.ContentRange?.From ?? -1 : 0;
                if (from != 0 && from != offset)
                {
                    response.Dispose();
                    throw new ImageException(ImageFault.BadContent, $"{endpoint.Name} answered with another part of {blob.Digest} than was asked for. Try again, or look at what stands between.");
                }

                return new BlobContent(new IdleStream(stream, client._options.IdleTimeout, endpoint.Base.Authority), from, response);
            });
    }
}
