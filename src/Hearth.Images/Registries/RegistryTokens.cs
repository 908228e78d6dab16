using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>
/// Answers registries that want to know who asks: Basic, and Bearer with its token server.
/// Source: distribution, "Token Authentication Specification" and "OAuth2 Token Authentication".
/// </summary>
internal sealed class RegistryTokens
{
    private const int MaxAnswerBytes = 1 << 20;

    private readonly RegistryOptions _options;
    private readonly HttpClient _http;
    private readonly ConcurrentDictionary<(string Endpoint, string Repository), AuthenticationHeaderValue> _known = new();

    public RegistryTokens(HttpClient http, RegistryOptions options)
    {
        _http = http;
        _options = options;
    }

    /// <summary>What was last accepted, or is to be tried first; null for nothing.</summary>
    public AuthenticationHeaderValue? Known(RegistryEndpoint endpoint, string repository)
    {
        if (_known.TryGetValue((endpoint.Name, repository), out AuthenticationHeaderValue? header))
        {
            return header;
        }

        return _options.Credentials(endpoint.Name)?.RegistryToken is { Length: > 0 } token ? new AuthenticationHeaderValue("Bearer", token) : null;
    }

    /// <summary>Finds an answer to what a registry wants.</summary>
    /// <returns>Null where there is none, or it was the one just refused.</returns>
    public async Task<AuthenticationHeaderValue?> AnswerAsync(
        RegistryEndpoint endpoint, string repository, HttpResponseMessage refusal, CancellationToken cancellation)
    {
        RegistryCredentials? credentials = _options.Credentials(endpoint.Name);
        AuthenticationHeaderValue? answer = null;
        foreach (AuthenticationHeaderValue offer in refusal.Headers.WwwAuthenticate)
        {
            AuthChallenge challenge = AuthChallenge.Parse(offer.Scheme, offer.Parameter);
            answer = challenge.Scheme.ToUpperInvariant() switch
            {
                "BASIC" when credentials?.Username is not null => Basic(credentials),
                "BEARER" => new AuthenticationHeaderValue("Bearer", await TokenAsync(endpoint, repository, challenge, credentials, cancellation).ConfigureAwait(false)),
                _ => null,
            };
            if (answer is not null)
            {
                break;
            }
        }

        if (answer is null || (answer.Scheme == "Basic" && answer.Equals(refusal.RequestMessage?.Headers.Authorization)))
        {
            return null;
        }

        _known[(endpoint.Name, repository)] = answer;
        return answer;
    }

    private static AuthenticationHeaderValue Basic(RegistryCredentials credentials) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credentials.Username}:{credentials.Password}")));

    private async Task<string> TokenAsync(
        RegistryEndpoint endpoint, string repository, AuthChallenge challenge, RegistryCredentials? credentials, CancellationToken cancellation)
    {
        // A registry reached by TLS does not get to have passwords sent in the clear.
        if (!Uri.TryCreate(challenge["realm"], UriKind.Absolute, out Uri? realm)
            || !(realm.Scheme == Uri.UriSchemeHttps || (realm.Scheme == Uri.UriSchemeHttp && endpoint.Base.Scheme == Uri.UriSchemeHttp)))
        {
            throw new ImageException(ImageFault.Denied, $"{endpoint.Name} names \"{challenge["realm"]}\" as its token server, which is no HTTPS address.");
        }

        string scope = challenge["scope"] ?? $"repository:{repository}:pull";
        using HttpRequestMessage request = credentials?.IdentityToken is { Length: > 0 } refresh
            ? Exchange(realm, challenge["service"], scope, refresh)
            : Ask(realm, challenge["service"], scope, credentials);
        using var timed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timed.CancelAfter(_options.ResponseTimeout);
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timed.Token).ConfigureAwait(false);
        if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.BadRequest)
        {
            throw new ImageException(ImageFault.Denied, $"{endpoint.Name} refuses {(credentials is null ? "anonymous access to" : $"the credentials given for")} {repository}. {RegistryErrors.LogIn}");
        }

        response.EnsureSuccessStatusCode();
        byte[] json = await RegistryErrors.ReadAsync(response, MaxAnswerBytes, timed.Token).ConfigureAwait(false);
        TokenDocument document = ImageDocuments.Parse(json, OciJson.Default.TokenDocument, $"The answer of {realm.Host}");
        string? token = string.IsNullOrEmpty(document.Token) ? document.AccessToken : document.Token;
        return !string.IsNullOrEmpty(token) && !token.AsSpan().ContainsAny('\r', '\n')
            ? token
            : throw new ImageException(ImageFault.Denied, $"The token server {realm.Host} of {endpoint.Name} answered without a token. {RegistryErrors.LogIn}");
    }

    private static HttpRequestMessage Ask(Uri realm, string? service, string scope, RegistryCredentials? credentials)
    {
        string query = (realm.Query.Length > 1 ? realm.Query[1..] + "&" : "") + "scope=" + Uri.EscapeDataString(scope)
            + (service is null ? "" : "&service=" + Uri.EscapeDataString(service));
        var request = new HttpRequestMessage(HttpMethod.Get, new UriBuilder(realm) { Query = query }.Uri);
        if (credentials?.Username is not null)
        {
            request.Headers.Authorization = Basic(credentials);
        }

        return request;
    }

    private static HttpRequestMessage Exchange(Uri realm, string? service, string scope, string refresh) =>
        new(HttpMethod.Post, realm)
        {
            Content = new FormUrlEncodedContent(
            [
                new("grant_type", "refresh_token"),
                new("refresh_token", refresh),
                new("client_id", "hearth"),
                new("service", service ?? string.Empty),
                new("scope", scope),
            ]),
        };
}
