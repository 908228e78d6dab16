using System.Buffers;
using System.Text;
using Hearth.Vmm.Mmds.Json;

namespace Hearth.Vmm.Mmds.Http;

/// <summary>
/// Turns a guest's request into the response's bytes. Thread: the device loop of the network interface it belongs to.
/// <para>Source: Firecracker docs/mmds/mmds-user-guide.md, "Retrieving metadata in the guest operating system" and
/// "Errors"; the texts are those of its <c>VmmMmdsError</c>.</para>
/// </summary>
internal sealed class MmdsResponder
{
    private readonly MmdsService _service;
    private readonly ArrayBufferWriter<byte> _body = new();

    // The path while its escapes are undone; as large as a request.
    private readonly byte[] _path = new byte[Tcp.TcpConnection.ReceiveBufferBytes];

    private long _nowMs;

    public MmdsResponder(MmdsService service) => _service = service;

    /// <summary>Appends the response to one request head.</summary>
    /// <returns>Whether the connection may carry another request.</returns>
    /// <exception cref="Linux.LinuxException">The kernel gives no random bytes for a token.</exception>
    public bool Respond(ReadOnlySpan<byte> head, long nowMs, IBufferWriter<byte> output)
    {
        _nowMs = nowMs;
        _body.ResetWrittenCount();
        int status = MmdsRequest.Parse(head, out MmdsRequest request, out string reason);
        var verdict = new Verdict { Status = status };
        bool keepAlive = request.KeepAlive && !request.HasBody;
        if (status == 0)
        {
            Answer(in request, ref verdict);
        }
        else
        {
            WriteText(reason);
        }

        WriteHead(in request, in verdict, keepAlive, output);

        // A response to HEAD ends with its headers (RFC 9110 §9.3.2), also one that refuses it.
        if (!head.StartsWith("HEAD "u8))
        {
            output.Write(_body.WrittenSpan);
        }

        return keepAlive;
    }

    private void Answer(in MmdsRequest request, ref Verdict verdict)
    {
        if (request.Path.IsEmpty)
        {
            Refuse(ref verdict, 400, "Invalid URI.");
            return;
        }

        switch (request.Method)
        {
            case HttpMethod.Get:
                if (IsAuthorized(in request, ref verdict))
                {
                    AnswerGet(in request, ref verdict);
                }

                break;
            case HttpMethod.Put:
                AnswerPut(in request, ref verdict);
                break;
            default:
                verdict.Allow = true;
                Refuse(ref verdict, 405, "Not allowed HTTP method.");
                break;
        }
    }

    // Version 1 only counts, so that a user can see who is not ready for version 2.
    private bool IsAuthorized(in MmdsRequest request, ref Verdict verdict)
    {
        string fault;
        if (!request.Token.IsPresent)
        {
            _service.Metrics.RxNoToken.Increment();
            fault = "No MMDS token provided. Use `X-metadata-token` or `X-aws-ec2-metadata-token` header to specify the session token.";
        }
        else if (!_service.Tokens.IsValid(request.Token.Value, _nowMs))
        {
            _service.Metrics.RxInvalidToken.Increment();
            fault = "MMDS token not valid.";
        }
        else
        {
            return true;
        }

        if (_service.Version == MmdsVersion.V1)
        {
            return true;
        }

        Refuse(ref verdict, 401, fault);
        return false;
    }

    private void AnswerGet(in MmdsRequest request, ref Verdict verdict)
    {
        Span<byte> pointer = Sanitize(request.Path);
        if (pointer.EndsWith("/"u8))
        {
            pointer = pointer[..^1];
        }

        JsonNode? node = JsonPointer.Find(_service.Store.Root, pointer);
        if (node is null)
        {
            RefuseMissing(ref verdict, request.Path);
        }
        else if (request.AcceptsJson && !_service.ImdsCompat)
        {
            verdict.IsJson = true;
            verdict.Status = 200;
            JsonText.Write(node, _body);
        }
        else if (TryWriteImds(node))
        {
            verdict.Status = 200;
        }
        else
        {
            Refuse(ref verdict, 501, "Cannot retrieve value. The value has an unsupported type.");
        }
    }

    private void AnswerPut(in MmdsRequest request, ref Verdict verdict)
    {
        if (request.ForwardedFor.IsPresent)
        {
            // The request came through a proxy: whoever sent it is not this guest.
            Refuse(ref verdict, 400, $"Invalid header. Reason: Unsupported header name. Key: {Text(request.ForwardedFor.Name)}");
        }
        else if (!Sanitize(request.Path).SequenceEqual("/latest/api/token"u8))
        {
            RefuseMissing(ref verdict, request.Path);
        }
        else if (!request.TokenTtl.IsPresent)
        {
            Refuse(
                ref verdict,
                400,
                "Token time to live value not found. Use `X-metadata-token-ttl-seconds` or `X-aws-ec2-metadata-token-ttl-seconds` header to specify the token's lifetime.");
        }
        else if (!MmdsRequest.TryParseUInt32(request.TokenTtl.Value, out uint ttl))
        {
            Refuse(
                ref verdict,
                400,
                $"Invalid header. Reason: Invalid value. Key:{Text(request.TokenTtl.Name)}; Value:{Text(request.TokenTtl.Value)}");
        }
        else if (ttl is < MmdsTokens.MinTtlSeconds or > MmdsTokens.MaxTtlSeconds)
        {
            Refuse(
                ref verdict,
                400,
                $"Invalid time to live value provided for token: {ttl}. Please provide a value between {MmdsTokens.MinTtlSeconds} and {MmdsTokens.MaxTtlSeconds}.");
        }
        else
        {
            _service.Tokens.Issue(ttl, _nowMs, _body.GetSpan(MmdsTokens.EncodedLength));
            _body.Advance(MmdsTokens.EncodedLength);
            verdict.Status = 200;
            verdict.TtlSeconds = ttl;
        }
    }

    // Repeated slashes count as one.
    private Span<byte> Sanitize(ReadOnlySpan<byte> path)
    {
        int length = 0;
        foreach (byte character in path)
        {
            if (character != '/' || length == 0 || _path[length - 1] != '/')
            {
                _path[length++] = character;
            }
        }

        return _path.AsSpan(0, length);
    }

    // EC2's format: an object is the list of its keys, those of objects with a slash; a string is itself.
    private bool TryWriteImds(JsonNode node)
    {
        switch (node)
        {
            case JsonString value:
                _body.Write(value.Utf8);
                return true;
            case JsonObject value:
                for (int i = 0; i < value.Keys.Length; i++)
                {
                    _body.Write(i == 0 ? default : "\n"u8);
                    _body.Write(value.Keys[i]);
                    _body.Write(value.Values[i] is JsonObject ? "/"u8 : default);
                }

                return true;
            default:
                return false;
        }
    }

    private void RefuseMissing(ref Verdict verdict, ReadOnlySpan<byte> path)
    {
        verdict.Status = 404;
        _body.Write("Resource not found: "u8);
        _body.Write(path);
        _body.Write("."u8);
    }

    private void Refuse(ref Verdict verdict, int status, string text)
    {
        verdict.Status = status;
        WriteText(text);
    }

    private void WriteText(string text) => Encoding.UTF8.GetBytes(text, _body);

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);

    private void WriteHead(in MmdsRequest request, in Verdict verdict, bool keepAlive, IBufferWriter<byte> output)
    {
        // Firecracker writes no reason phrase either; clients do not look at it (RFC 9112 §4).
        output.Write(request.IsHttp10 ? "HTTP/1.0 "u8 : "HTTP/1.1 "u8);
        WriteNumber((uint)verdict.Status, output);
        output.Write(" \r\nServer: Firecracker API\r\n"u8);
        output.Write(keepAlive ? "Connection: keep-alive\r\n"u8 : "Connection: close\r\n"u8);
        output.Write(verdict.Allow ? "Allow: GET, PUT\r\n"u8 : default);
        if (verdict.TtlSeconds != 0)
        {
            output.Write(request.TokenTtl.Name);
            output.Write(": "u8);
            WriteNumber(verdict.TtlSeconds, output);
            output.Write("\r\n"u8);
        }

        output.Write(verdict.IsJson ? "Content-Type: application/json\r\n"u8 : "Content-Type: text/plain\r\n"u8);
        output.Write("Content-Length: "u8);
        WriteNumber((uint)_body.WrittenCount, output);
        output.Write("\r\n\r\n"u8);
    }

    private static void WriteNumber(uint number, IBufferWriter<byte> output)
    {
        number.TryFormat(output.GetSpan(10), out int length);
        output.Advance(length);
    }

    private struct Verdict
    {
        public int Status;
        public bool IsJson;
        public bool Allow;
        public uint TtlSeconds;
    }
}
