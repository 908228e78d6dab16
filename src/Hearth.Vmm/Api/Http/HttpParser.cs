using System.Globalization;
using System.Text;

namespace Hearth.Vmm.Api.Http;

/// <summary>
/// Reads HTTP/1.1 requests from a stream of bytes in whatever pieces they come. Bounded: a head of at most
/// <see cref="MaxHeadBytes"/>, a body of at most the payload limit; nothing is kept beyond that.
/// <para>Bodies come with Content-Length; chunked bodies are refused. Source: RFC 9112; Firecracker's micro-http.</para>
/// <para>Thread: one.</para>
/// </summary>
public sealed class HttpParser
{
    /// <summary>The request line and headers together.</summary>
    public const int MaxHeadBytes = 8192;

    private readonly int _maxBodyBytes;
    private byte[] _buffer = new byte[1024];
    private int _length;
    private long _skip;
    private Head? _head;

    public HttpParser(int maxBodyBytes) => _maxBodyBytes = maxBodyBytes;

    /// <summary>
    /// Set when a client waits for <c>100 Continue</c> before it sends its body; whoever answers it clears it.
    /// </summary>
    public bool ExpectsContinue { get; set; }

    /// <summary>Takes what arrived. <see cref="TryRead"/> then gives the requests that are whole, one a call.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_buffer.Length - _length < bytes.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes.Length));
        }

        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>Gives the next whole request; null if more bytes are needed.</summary>
    /// <exception cref="HttpFaultException">
    /// The bytes are no request this server takes. Unless the fault is recoverable, the parser is of no more use.
    /// </exception>
    public HttpRequest? TryRead()
    {
        if (_skip > 0)
        {
            int skipped = (int)Math.Min(_skip, _length);
            Consume(skipped);
            _skip -= skipped;
        }

        if (_head is null && !TryReadHead())
        {
            return null;
        }

        Head head = _head!;
        int contentLength = (int)head.ContentLength;
        if (_length < contentLength)
        {
            return null;
        }

        byte[] body = _buffer.AsSpan(0, contentLength).ToArray();
        Consume(contentLength);
        _head = null;
        ExpectsContinue = false;
        return new HttpRequest(head.Method, head.Path, body, head.KeepAlive);
    }

    private bool TryReadHead()
    {
        ReadOnlySpan<byte> bytes = _buffer.AsSpan(0, _length);
        // Empty lines before a request line are to be ignored (RFC 9112 §2.2).
        while (bytes.StartsWith("\r\n"u8))
        {
            Consume(2);
            bytes = _buffer.AsSpan(0, _length);
        }

        int end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0 ? _length > MaxHeadBytes : end > MaxHeadBytes)
        {
            throw new HttpFaultException($"The request line and headers are longer than {MaxHeadBytes} bytes.");
        }

        if (end < 0)
        {
            // A first line that is none is refused at once, not after a head's worth of it.
            int firstLine = bytes.IndexOf("\r\n"u8);
            if (firstLine >= 0)
            {
                ParseRequestLine(bytes[..firstLine]);
            }

            return false;
        }

        Head head = ParseHead(bytes[..end]);
        Consume(end + 4);
        if (head.ContentLength > _maxBodyBytes)
        {
            // A body that is on its way is passed over; one that waits for a 100 may never come.
            _skip = head.ExpectsContinue ? 0 : head.ContentLength;
            throw new HttpFaultException($"Request payload with size {head.ContentLength} is larger than the limit of {_maxBodyBytes} allowed by server.")
            {
                IsRecoverable = !head.ExpectsContinue && head.KeepAlive,
            };
        }

        _head = head;
        ExpectsContinue = _head.ExpectsContinue && _length < _head.ContentLength;
        return true;
    }

    private Head ParseHead(ReadOnlySpan<byte> bytes)
    {
        int lineEnd = bytes.IndexOf("\r\n"u8);
        (string method, string path, bool keepAlive) = ParseRequestLine(lineEnd < 0 ? bytes : bytes[..lineEnd]);
        ReadOnlySpan<byte> rest = lineEnd < 0 ? default : bytes[(lineEnd + 2)..];
        uint? contentLength = null;
        bool expectsContinue = false;
        while (!rest.IsEmpty)
        {
            lineEnd = rest.IndexOf("\r\n"u8);
            ReadOnlySpan<byte> line = lineEnd < 0 ? rest : rest[..lineEnd];
            rest = lineEnd < 0 ? default : rest[(lineEnd + 2)..];
            int colon = line.IndexOf((byte)':');
            if (colon <= 0)
            {
                throw new HttpFaultException($"Invalid header. Reason: Header is incorrectly formatted. Key: {Quote(line)}");
            }

            ReadOnlySpan<byte> name = line[..colon].Trim(" \t"u8);
            ReadOnlySpan<byte> value = line[(colon + 1)..].Trim(" \t"u8);
            if (Ascii.EqualsIgnoreCase(name, "content-length"u8))
            {
                uint length = ParseLength(value);
                if (contentLength is { } earlier && earlier != length)
                {
                    throw new HttpFaultException("Invalid header. Reason: two Content-Length headers differ.");
                }

                contentLength = length;
            }
            else if (Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8))
            {
                if (!Ascii.EqualsIgnoreCase(value, "identity"u8))
                {
                    throw new HttpFaultException($"Invalid header. Reason: Unsupported value. Key:Transfer-Encoding; Value: {Quote(value)}. Send a Content-Length.");
                }
            }
            else if (Ascii.EqualsIgnoreCase(name, "expect"u8))
            {
                // Other expectations are passed over, as micro-http does.
                expectsContinue = Ascii.EqualsIgnoreCase(value, "100-continue"u8);
            }
            else if (Ascii.EqualsIgnoreCase(name, "connection"u8))
            {
                keepAlive = Ascii.EqualsIgnoreCase(value, "close"u8) ? false : keepAlive || Ascii.EqualsIgnoreCase(value, "keep-alive"u8);
            }
        }

        return new Head(method, path, contentLength ?? 0, keepAlive, expectsContinue);
    }

    private static (string Method, string Path, bool KeepAlive) ParseRequestLine(ReadOnlySpan<byte> line)
    {
        int first = line.IndexOf((byte)' ');
        int last = line.LastIndexOf((byte)' ');
        if (first <= 0 || last == first)
        {
            throw new HttpFaultException("Invalid request.");
        }

        ReadOnlySpan<byte> method = line[..first];
        ReadOnlySpan<byte> target = line[(first + 1)..last];
        ReadOnlySpan<byte> version = line[(last + 1)..];
        if (method is not [(byte)'G', (byte)'E', (byte)'T'] && !method.SequenceEqual("PUT"u8) && !method.SequenceEqual("PATCH"u8) && !method.SequenceEqual("DELETE"u8))
        {
            throw new HttpFaultException("Invalid HTTP Method: Unsupported HTTP method.");
        }

        bool http11 = version.SequenceEqual("HTTP/1.1"u8);
        if (!http11 && !version.SequenceEqual("HTTP/1.0"u8))
        {
            throw new HttpFaultException("Invalid HTTP Version: Unsupported HTTP version.");
        }

        return (Encoding.ASCII.GetString(method), ParsePath(target), http11);
    }

    private static string ParsePath(ReadOnlySpan<byte> target)
    {
        if (target.StartsWith("http://"u8))
        {
            int slash = target[7..].IndexOf((byte)'/');
            target = slash < 0 ? "/"u8 : target[(7 + slash)..];
        }

        int query = target.IndexOf((byte)'?');
        if (query >= 0)
        {
            target = target[..query];
        }

        if (target.IsEmpty || target[0] != (byte)'/' || target.ContainsAnyExceptInRange((byte)'!', (byte)'~'))
        {
            throw new HttpFaultException(target.IsEmpty ? "Invalid URI: Empty URI not allowed." : "Invalid URI: It must be a path of printable ASCII.");
        }

        return Encoding.ASCII.GetString(target);
    }

    private static uint ParseLength(ReadOnlySpan<byte> value) =>
        !value.ContainsAnyExceptInRange((byte)'0', (byte)'9') && uint.TryParse(value, CultureInfo.InvariantCulture, out uint length)
            ? length
            : throw new HttpFaultException($"Invalid header. Reason: Invalid value. Key:Content-Length; Value: {Quote(value)}");

    /// <summary>A client's bytes, fit to stand between the quotes of an answer: short, printable, no quotes.</summary>
    private static string Quote(ReadOnlySpan<byte> bytes)
    {
        const int Longest = 80;
        return string.Create(Math.Min(bytes.Length, Longest), bytes, static (text, from) =>
        {
            for (int i = 0; i < text.Length; i++)
            {
                text[i] = from[i] is >= (byte)' ' and <= (byte)'~' and not ((byte)'"' or (byte)'\\') ? (char)from[i] : '?';
            }
        });
    }

    private void Consume(int count)
    {
        _buffer.AsSpan(count, _length - count).CopyTo(_buffer);
        _length -= count;
    }

    private sealed record Head(string Method, string Path, uint ContentLength, bool KeepAlive, bool ExpectsContinue);
}
