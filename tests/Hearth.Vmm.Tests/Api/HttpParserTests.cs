using System.Text;
using CsCheck;
using Hearth.Vmm.Api.Http;

namespace Hearth.Vmm.Tests.Api;

public class HttpParserTests
{
    private const int MaxBody = 51_200;

    private static readonly byte[] s_stream = Encoding.ASCII.GetBytes(
        "PUT /drives/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
        + "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n"
        + "PATCH /vm HTTP/1.0\r\ncontent-length:2\r\n\r\n{}"
        + "\r\nGET http://localhost/version?x=1 HTTP/1.1\r\nConnection: close\r\n\r\n");

    [Fact]
    public void Any_split_of_a_stream_gives_the_same_requests()
    {
        List<HttpRequest> whole = ReadAll([s_stream]);
        Assert.Equal(["/drives/a", "/", "/vm", "/version"], whole.Select(r => r.Path));
        Assert.Equal("hello"u8.ToArray(), whole[0].Body);
        Assert.Equal([true, true, false, false], whole.Select(r => r.KeepAlive));
        Gen.Int[1, 40].Array[1, 60].Sample(sizes =>
        {
            var pieces = new List<byte[]>();
            int at = 0;
            for (int i = 0; at < s_stream.Length; i++)
            {
                int size = Math.Min(sizes[i % sizes.Length], s_stream.Length - at);
                pieces.Add(s_stream[at..(at + size)]);
                at += size;
            }

            List<HttpRequest> split = ReadAll(pieces);
            Assert.Equal(whole.Select(r => (r.Method, r.Path, Convert.ToHexString(r.Body), r.KeepAlive)), split.Select(r => (r.Method, r.Path, Convert.ToHexString(r.Body), r.KeepAlive)));
        });
    }

    [Fact]
    public void Random_bytes_give_requests_or_a_fault_and_nothing_else()
    {
        Gen.Byte.Array[0, 300].Sample(bytes => Try([bytes]));
        // Closer to the grammar: pieces of a real stream, with bytes changed.
        Gen.Select(Gen.Int[0, s_stream.Length - 1], Gen.Byte, Gen.Int[1, 9]).Array[1, 8].Sample(changes =>
        {
            byte[] mutated = [.. s_stream];
            foreach ((int at, byte value, int length) in changes)
            {
                mutated.AsSpan(at, Math.Min(length, mutated.Length - at)).Fill(value);
            }

            Try([mutated]);
        });
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.")]
    [InlineData("GET / HTTP/2\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version")]
    [InlineData("GET noslash HTTP/1.1\r\n\r\n", "Invalid URI")]
    [InlineData("GET /\r\n\r\n", "Invalid request.")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "Invalid header. Reason: Invalid value. Key:Content-Length; Value: -1")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "differ")]
    [InlineData("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "Unsupported value. Key:Transfer-Encoding; Value: chunked")]
    [InlineData("PUT / HTTP/1.1\r\nno \"colon\r\n\r\n", "Invalid header. Reason: Header is incorrectly formatted. Key: no ?colon")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 51201\r\n\r\n", "Request payload with size 51201 is larger than the limit of 51200 allowed by server.")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "Invalid header. Reason: Invalid value. Key:Content-Length;")]
    public void What_http_forbids_is_named(string text, string expected)
    {
        HttpFaultException fault = Assert.Throws<HttpFaultException>(() => ReadAll([Encoding.ASCII.GetBytes(text)]));
        Assert.Contains(expected, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_body_too_large_is_passed_over_in_any_split_and_the_next_request_is_read()
    {
        byte[] stream = [.. "PUT /mmds HTTP/1.1\r\nContent-Length : 60000\r\n\r\n"u8, .. new byte[60_000], .. "GET /version HTTP/1.1\r\n\r\n"u8];
        Gen.Int[1, 30_000].Sample(size =>
        {
            var parser = new HttpParser(MaxBody);
            var seen = new List<string>();
            for (int at = 0; at < stream.Length; at += size)
            {
                parser.Append(stream.AsSpan(at, Math.Min(size, stream.Length - at)));
                for (bool more = true; more;)
                {
                    try
                    {
                        HttpRequest? request = parser.TryRead();
                        more = request is not null;
                        if (request is not null)
                        {
                            seen.Add(request.Path);
                        }
                    }
                    catch (HttpFaultException fault)
                    {
                        Assert.True(fault.IsRecoverable);
                        seen.Add(fault.Message);
                    }
                }
            }

            Assert.Equal(["Request payload with size 60000 is larger than the limit of 51200 allowed by server.", "/version"], seen);
        }, iter: 200);
    }

    [Fact]
    public void A_body_too_large_that_waits_for_a_word_ends_the_connection()
    {
        var parser = new HttpParser(MaxBody);
        parser.Append("PUT /mmds HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 60000\r\n\r\n"u8);
        Assert.False(Assert.Throws<HttpFaultException>(parser.TryRead).IsRecoverable);
    }

    [Fact]
    public void A_head_without_end_is_refused_before_it_fills_memory()
    {
        var parser = new HttpParser(MaxBody);
        parser.Append("GET / HTTP/1.1\r\n"u8);
        Assert.Null(parser.TryRead());
        byte[] header = Encoding.ASCII.GetBytes("X-Filler: " + new string('a', 1000) + "\r\n");
        Assert.Throws<HttpFaultException>(() =>
        {
            for (int i = 0; i < 20; i++)
            {
                parser.Append(header);
                Assert.Null(parser.TryRead());
            }
        });
    }

    [Fact]
    public void A_client_that_waits_to_be_told_to_continue_is_noticed_once()
    {
        var parser = new HttpParser(MaxBody);
        parser.Append("PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"u8);
        Assert.Null(parser.TryRead());
        Assert.True(parser.ExpectsContinue);
        parser.ExpectsContinue = false;
        Assert.Null(parser.TryRead());
        Assert.False(parser.ExpectsContinue);
        parser.Append("{}"u8);
        Assert.Equal("{}"u8.ToArray(), parser.TryRead()!.Body);
    }

    private static void Try(IEnumerable<byte[]> pieces)
    {
        try
        {
            ReadAll(pieces);
        }
        catch (HttpFaultException)
        {
            // The one exception a client may cause.
        }
    }

    private static List<HttpRequest> ReadAll(IEnumerable<byte[]> pieces)
    {
        var parser = new HttpParser(MaxBody);
        var requests = new List<HttpRequest>();
        foreach (byte[] piece in pieces)
        {
            parser.Append(piece);
            while (parser.TryRead() is { } request)
            {
                requests.Add(request);
            }
        }

        return requests;
    }
}
