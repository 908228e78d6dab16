using System.Buffers;
using System.Text;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Http;

namespace Hearth.Vmm.Tests.Mmds;

public class MmdsResponderTests
{
    private const string Document =
        """{"name":{"first":"John","second":"Doe"},"age":43,"phones":{"home":{"RO":"+401234567"},"mobile":"+442345678"},"slash/ed":"yes"}""";

    private readonly MmdsService _service = new(51200);
    private readonly MmdsResponder _responder;
    private long _nowMs = 1000;

    public MmdsResponderTests()
    {
        _responder = new MmdsResponder(_service);
        _service.Store.Put(Encoding.UTF8.GetBytes(Document));
    }

    [Theory]
    [InlineData("/", "age\nname/\nphones/\nslash/ed")]
    [InlineData("/name", "first\nsecond")]
    [InlineData("/name/", "first\nsecond")]
    [InlineData("//phones///home/", "RO")]
    [InlineData("/name/first", "John")]
    [InlineData("/slash~1ed", "yes")]
    [InlineData("http://169.254.169.254/name/first", "John")]
    public void Plain_text_lists_keys_and_gives_strings(string uri, string body) =>
        Assert.Equal((200, "text/plain", body), Get(uri));

    [Theory]
    [InlineData("/name", """{"first":"John","second":"Doe"}""")]
    [InlineData("/name/first", "\"John\"")]
    [InlineData("/age", "43")]
    public void Json_is_given_to_those_who_accept_it(string uri, string body) =>
        Assert.Equal((200, "application/json", body), Get(uri, "Accept: application/json"));

    [Theory]
    [InlineData("Accept: */*")]
    [InlineData("Accept: text/html")]
    [InlineData("Accept: text/plain")]
    public void Other_types_leave_it_at_plain_text(string accept) =>
        Assert.Equal((200, "text/plain", "first\nsecond"), Get("/name", accept));

    [Fact]
    public void Imds_compat_ignores_what_is_accepted()
    {
        _service.Configure(new MmdsConfig { NetworkInterfaces = ["eth0"], ImdsCompat = true });
        Assert.Equal((200, "text/plain", "John"), Get("/name/first", "Accept: application/json"));
    }

    [Fact]
    public void What_plain_text_cannot_say_is_not_implemented() =>
        Assert.Equal((501, "text/plain", "Cannot retrieve value. The value has an unsupported type."), Get("/age"));

    [Theory]
    [InlineData("/invalid", "Resource not found: /invalid.")]
    [InlineData("//name//third", "Resource not found: //name//third.")]
    [InlineData("/age/x", "Resource not found: /age/x.")]
    public void What_is_not_there_is_not_found(string uri, string body) => Assert.Equal((404, "text/plain", body), Get(uri));

    [Theory]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    public void Known_methods_that_are_not_allowed_say_which_are(string method)
    {
        string response = Send($"{method} / HTTP/1.1\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 405 ", response, StringComparison.Ordinal);
        Assert.Contains("\r\nAllow: GET, PUT\r\n", response, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nNot allowed HTTP method.", response, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\n\r\n", 501, "Unsupported HTTP method.")]
    [InlineData("get / HTTP/1.1\r\n\r\n", 501, "Unsupported HTTP method.")]
    [InlineData("GET / HTTP/2.0\r\n\r\n", 501, "Unsupported HTTP version.")]
    [InlineData("GET  HTTP/1.1......\r\n\r\n", 400, "Empty URI not allowed.")]
    [InlineData("GET name HTTP/1.1\r\n\r\n", 400, "Invalid URI.")]
    [InlineData("GET http://host HTTP/1.1\r\n\r\n", 400, "Invalid URI.")]
    [InlineData("GET / HTTP/1.1\n\n", 400, "Invalid request.")]
    [InlineData("\r\n\r\n", 400, "Invalid request.")]
    [InlineData("GETTTTTTTTTTTTTTTT\r\n\r\n", 400, "Invalid request.")]
    [InlineData("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "Header is incorrectly formatted. Key: no colon")]
    [InlineData("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "Invalid value. Key:Content-Length; Value: x")]
    [InlineData("GET / HTTP/1.1\r\nContent-Length: 100\r\n\r\n", 400, "Invalid request.")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 400, "Invalid request.")]
    [InlineData("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Invalid request.")]
    [InlineData("GET / HTTP/1.1\r\nAccept-Encoding: gzip, identity;q=0\r\n\r\n", 400, "Invalid value. Key:Accept-Encoding; Value:identity;q=0")]
    [InlineData("GET / HTTP/1.1\r\nAccept-Encoding: *;q=0\r\n\r\n", 400, "Invalid value. Key:Accept-Encoding; Value:*;q=0")]
    public void Malformed_requests_are_told_why(string request, int status, string body)
    {
        string response = Send(request);
        Assert.StartsWith($"HTTP/1.1 {status} \r\n", response, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n" + body, response, StringComparison.Ordinal);
        Assert.Contains($"Content-Length: {body.Length}\r\n", response, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false)]
    [InlineData("GET / HTTP/1.0\r\n\r\n", false)]
    [InlineData("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", false)]
    [InlineData("HEAD / HTTP/1.1\r\n\r\n", false)]
    public void The_connection_is_kept_where_the_next_request_can_be_found(string request, bool kept)
    {
        var output = new ArrayBufferWriter<byte>();
        Assert.Equal(kept, _responder.Respond(Encoding.UTF8.GetBytes(request), _nowMs, output));
        Assert.Contains(kept ? "Connection: keep-alive" : "Connection: close", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void An_answer_to_head_has_no_body() => Assert.EndsWith("\r\n\r\n", Send("HEAD / HTTP/1.1\r\n\r\n"), StringComparison.Ordinal);

    [Fact]
    public void Version_1_answers_without_a_valid_token_and_counts_it()
    {
        Assert.Equal(200, Get("/").Status);
        Assert.Equal(200, Get("/", "X-metadata-token: nonsense").Status);
        Assert.Equal(200, Get("/", "X-metadata-token: " + TakeToken()).Status);
        Assert.Equal((1, 1), (_service.Metrics.RxNoToken.Value, _service.Metrics.RxInvalidToken.Value));
    }

    [Theory]
    [InlineData("X-metadata-token")]
    [InlineData("x-AWS-ec2-metadata-TOKEN")]
    public void Version_2_wants_a_token_that_lives(string header)
    {
        _service.Configure(new MmdsConfig { NetworkInterfaces = ["eth0"], Version = MmdsVersion.V2 });
        const string None =
            "No MMDS token provided. Use `X-metadata-token` or `X-aws-ec2-metadata-token` header to specify the session token.";
        Assert.Equal((401, "text/plain", None), Get("/name/first"));
        Assert.Equal((401, "text/plain", "MMDS token not valid."), Get("/name/first", $"{header}: nonsense"));

        string token = TakeToken(ttlSeconds: 2);
        Assert.Equal((200, "text/plain", "John"), Get("/name/first", $"{header}: {token}"));
        Assert.Equal(404, Get("/nothing", $"{header}: {token}").Status);
        _nowMs += 2000;
        Assert.Equal((401, "text/plain", "MMDS token not valid."), Get("/name/first", $"{header}: {token}"));
    }

    [Theory]
    [InlineData("X-metadata-token-ttl-seconds")]
    [InlineData("X-aws-ec2-metadata-token-ttl-seconds")]
    public void A_token_comes_with_the_header_that_asked_for_it(string header)
    {
        string response = Send($"PUT /latest//api/token HTTP/1.0\r\n{header}: 00060\r\n\r\n");
        Assert.StartsWith("HTTP/1.0 200 \r\n", response, StringComparison.Ordinal);
        Assert.Contains($"\r\n{header}: 60\r\n", response, StringComparison.Ordinal);
        Assert.Equal(MmdsTokens.EncodedLength, response[(response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].Length);
    }

    [Theory]
    [InlineData("/latest/api/token", "X-Forwarded-For: foo", 400, "Invalid header. Reason: Unsupported header name. Key: X-Forwarded-For")]
    [InlineData("/", "x-forwarded-for: foo", 400, "Invalid header. Reason: Unsupported header name. Key: x-forwarded-for")]
    [InlineData("/latest/api/toke", "X-metadata-token-ttl-seconds: 60", 404, "Resource not found: /latest/api/toke.")]
    [InlineData("/latest/api/token/", "X-metadata-token-ttl-seconds: 60", 404, "Resource not found: /latest/api/token/.")]
    [InlineData("/latest/api/token", "X-metadata-token-ttl-seconds: 0", 400, "Invalid time to live value provided for token: 0. Please provide a value between 1 and 21600.")]
    [InlineData("/latest/api/token", "X-metadata-token-ttl-seconds: 21601", 400, "Invalid time to live value provided for token: 21601. Please provide a value between 1 and 21600.")]
    [InlineData("/latest/api/token", "X-metadata-token-ttl-seconds: application/json", 400, "Invalid header. Reason: Invalid value. Key:X-metadata-token-ttl-seconds; Value:application/json")]
    [InlineData("/latest/api/token", "X-metadata-token-ttl-seconds: -1", 400, "Invalid header. Reason: Invalid value. Key:X-metadata-token-ttl-seconds; Value:-1")]
    [InlineData("/latest/api/token", "X-metadata-token-ttl-seconds: 4294967296", 400, "Invalid header. Reason: Invalid value. Key:X-metadata-token-ttl-seconds; Value:4294967296")]
    [InlineData("/latest/api/token", "Host: x", 400, "Token time to live value not found. Use `X-metadata-token-ttl-seconds` or `X-aws-ec2-metadata-token-ttl-seconds` header to specify the token's lifetime.")]
    public void A_put_that_gets_no_token_says_why(string uri, string header, int status, string body)
    {
        string response = Send($"PUT {uri} HTTP/1.1\r\n{header}\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} \r\n", response, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n" + body, response, StringComparison.Ordinal);
    }

    [Fact]
    public void Before_there_is_metadata_nothing_is_found()
    {
        var output = new ArrayBufferWriter<byte>();
        new MmdsResponder(new MmdsService(51200)).Respond("GET /latest HTTP/1.1\r\n\r\n"u8, 0, output);
        Assert.StartsWith("HTTP/1.1 404 ", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    private string TakeToken(int ttlSeconds = 60)
    {
        string response = Send($"PUT /latest/api/token HTTP/1.1\r\nX-metadata-token-ttl-seconds: {ttlSeconds}\r\n\r\n");
        return response[(response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
    }

    private (int Status, string Type, string Body) Get(string uri, string header = "Host: x")
    {
        string[] parts = Send($"GET {uri} HTTP/1.1\r\n{header}\r\n\r\n").Split("\r\n\r\n", 2);
        string type = parts[0].Split("\r\n").Single(line => line.StartsWith("Content-Type: ", StringComparison.Ordinal))["Content-Type: ".Length..];
        return (int.Parse(parts[0].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture), type, parts[1]);
    }

    private string Send(string request)
    {
        byte[] stream = Encoding.UTF8.GetBytes(request);
        int scanned = 0;
        Assert.Equal(stream.Length, MmdsRequest.FindEnd(stream, ref scanned));
        var output = new ArrayBufferWriter<byte>();
        _responder.Respond(stream, _nowMs, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
