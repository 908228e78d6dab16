using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace Hearth.Vmm.Mmds.Http;

/// <summary>
/// The head of one guest's request, as views into the connection's buffer. Which malformed request is refused how, and
/// in which words: Firecracker's micro-http, <c>Request::try_from</c>.
/// </summary>
internal ref struct MmdsRequest
{
    private const int ShortestRequestLine = 14;

    public HttpMethod Method { get; private set; }

    /// <summary>The path as sent, from its first slash; empty if there is none.</summary>
    public ReadOnlySpan<byte> Path { get; private set; }

    public bool IsHttp10 { get; private set; }

    /// <summary>Whether <c>Accept</c> is JSON.</summary>
    public bool AcceptsJson { get; private set; }

    /// <summary>Whether the client may send another request, as its version and <c>Connection</c> say; not after a request that is not understood.</summary>
    public bool KeepAlive { get; private set; }

    public HttpHeader Token { get; private set; }

    public HttpHeader TokenTtl { get; private set; }

    public HttpHeader ForwardedFor { get; private set; }

    /// <summary>Whether a body follows, after which the stream cannot be followed: no request here has one.</summary>
    public bool HasBody { get; private set; }

    /// <summary>Length of the first request head in the stream with its empty line; 0 if it is not complete.</summary>
    /// <param name="stream">What the guest has sent.</param>
    /// <param name="scanned">How much of it an earlier call has looked at, and where the next may begin.</param>
    public static int FindEnd(ReadOnlySpan<byte> stream, ref int scanned)
    {
        for (int i = scanned; i < stream.Length; i++)
        {
            if (stream[i] != '\n')
            {
                continue;
            }

            ReadOnlySpan<byte> rest = stream[(i + 1)..];
            if (rest.StartsWith("\n"u8))
            {
                return i + 2;
            }

            if (rest.StartsWith("\r\n"u8))
            {
                return i + 3;
            }
        }

        // The last two bytes may become the end together with those to come.
        scanned = Math.Max(scanned, stream.Length - 2);
        return 0;
    }

    /// <summary>Parses a head that <see cref="FindEnd"/> delimited.</summary>
    /// <returns>The status to refuse it with; 0 if it is well-formed.</returns>
    public static int Parse(ReadOnlySpan<byte> head, out MmdsRequest request, out string reason)
    {
        request = default;
        int end = head.IndexOf("\r\n"u8);
        if (end < ShortestRequestLine || !head.EndsWith("\r\n\r\n"u8))
        {
            reason = "Invalid request.";
            return 400;
        }

        int status = request.ParseRequestLine(head[..end], out reason);
        return status != 0 ? status : request.ParseHeaders(head[(end + 2)..^2], out reason);
    }

    private int ParseRequestLine(ReadOnlySpan<byte> line, out string reason)
    {
        int methodEnd = line.IndexOf((byte)' ');
        int uriLength = methodEnd < 0 ? -1 : line[(methodEnd + 1)..].IndexOf((byte)' ');
        if (uriLength < 0)
        {
            reason = "Invalid request.";
            return 400;
        }

        ReadOnlySpan<byte> method = line[..methodEnd];
        ReadOnlySpan<byte> uri = line.Slice(methodEnd + 1, uriLength);
        ReadOnlySpan<byte> version = line[(methodEnd + uriLength + 2)..];
        HttpMethod? known = method switch
        {
            _ when method.SequenceEqual("GET"u8) => HttpMethod.Get,
            _ when method.SequenceEqual("PUT"u8) => HttpMethod.Put,
            _ when method.SequenceEqual("PATCH"u8) => HttpMethod.Patch,
            _ when method.SequenceEqual("DELETE"u8) => HttpMethod.Delete,
            _ => null,
        };
        if (known is null)
        {
            reason = "Unsupported HTTP method.";
            return 501;
        }

        if (uri.IsEmpty || !Utf8.IsValid(uri))
        {
            reason = uri.IsEmpty ? "Empty URI not allowed." : "Cannot parse URI as UTF-8.";
            return 400;
        }

        IsHttp10 = version.SequenceEqual("HTTP/1.0"u8);
        if (!IsHttp10 && !version.SequenceEqual("HTTP/1.1"u8))
        {
            reason = "Unsupported HTTP version.";
            return 501;
        }

        Method = known.Value;
        Path = AbsolutePath(uri);
        KeepAlive = !IsHttp10;
        reason = "";
        return 0;
    }

    // "http://host/path" or "/path"; anything else has no path.
    private static ReadOnlySpan<byte> AbsolutePath(ReadOnlySpan<byte> uri)
    {
        if (uri.StartsWith("http://"u8))
        {
            ReadOnlySpan<byte> afterScheme = uri["http://"u8.Length..];
            int slash = afterScheme.IndexOf((byte)'/');
            return slash < 0 ? default : afterScheme[slash..];
        }

        return uri[0] == '/' ? uri : default;
    }

    private int ParseHeaders(ReadOnlySpan<byte> lines, out string reason)
    {
        reason = "Invalid request.";
        if (!Utf8.IsValid(lines))
        {
            return 400;
        }

        while (!lines.IsEmpty)
        {
            int end = lines.IndexOf("\r\n"u8);
            ReadOnlySpan<byte> line = end < 0 ? lines : lines[..end];
            lines = end < 0 ? default : lines[(end + 2)..];
            int colon = line.IndexOf((byte)':');
            if (colon < 0)
            {
                reason = $"Header is incorrectly formatted. Key: {Encoding.UTF8.GetString(line)}";
                return 400;
            }

            if (!TakeHeader(line[..colon], line[(colon + 1)..], out string? fault))
            {
                reason = fault ?? reason;
                return 400;
            }
        }

        // No method here has a use for a body.
        return HasBody ? 400 : 0;
    }

    private bool TakeHeader(ReadOnlySpan<byte> rawName, ReadOnlySpan<byte> rawValue, out string? fault)
    {
        fault = null;
        ReadOnlySpan<byte> name = rawName.Trim(" \t"u8);
        ReadOnlySpan<byte> value = rawValue.Trim(" \t"u8);
        if (Is(name, "content-length"u8))
        {
            if (!TryParseUInt32(value, out uint length))
            {
                fault = $"Invalid value. Key:{Encoding.UTF8.GetString(rawName)}; Value:{Encoding.UTF8.GetString(rawValue)}";
                return false;
            }

            HasBody |= length > 0;
        }
        else if (Is(name, "transfer-encoding"u8))
        {
            HasBody |= !Is(value, "identity"u8);
        }
        else if (Is(name, "accept"u8))
        {
            // A list, or a type this server does not make, leaves the default.
            AcceptsJson = value.SequenceEqual("application/json"u8) || (AcceptsJson && !value.SequenceEqual("text/plain"u8));
        }
        else if (Is(name, "accept-encoding"u8))
        {
            return TakeAcceptEncoding(value, out fault);
        }
        else if (Is(name, "connection"u8))
        {
            KeepAlive = Is(value, "keep-alive"u8) || (KeepAlive && !Is(value, "close"u8));
        }
        else if (Is(name, "x-metadata-token"u8) || Is(name, "x-aws-ec2-metadata-token"u8))
        {
            Token = new HttpHeader(name, value);
        }
        else if (Is(name, "x-metadata-token-ttl-seconds"u8) || Is(name, "x-aws-ec2-metadata-token-ttl-seconds"u8))
        {
            TokenTtl = new HttpHeader(name, value);
        }
        else if (Is(name, "x-forwarded-for"u8))
        {
            ForwardedFor = new HttpHeader(name, value);
        }

        return true;
    }

    // Answers are never encoded, so a client that refuses that is refused.
    private static bool TakeAcceptEncoding(ReadOnlySpan<byte> value, out string? fault)
    {
        fault = null;
        bool namesIdentity = value.IndexOf("identity"u8) >= 0;
        foreach (Range range in value.Split((byte)','))
        {
            ReadOnlySpan<byte> encoding = value[range].Trim(" \t"u8);
            if (encoding.SequenceEqual("identity;q=0"u8) || (encoding.SequenceEqual("*;q=0"u8) && !namesIdentity))
            {
                fault = $"Invalid value. Key:Accept-Encoding; Value:{Encoding.UTF8.GetString(encoding)}";
                return false;
            }
        }

        return !value.IsEmpty;
    }

    /// <summary>A decimal number, a plus sign allowed before it.</summary>
    public static bool TryParseUInt32(ReadOnlySpan<byte> text, out uint number)
    {
        ReadOnlySpan<byte> digits = text.StartsWith("+"u8) ? text[1..] : text;
        number = 0;
        return !digits.IsEmpty && char.IsAsciiDigit((char)digits[0])
            && Utf8Parser.TryParse(digits, out number, out int consumed) && consumed == digits.Length;
    }

    private static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lowerCase) => Ascii.EqualsIgnoreCase(text, lowerCase);
}

/// <summary>A header as it was sent, without the blanks around; absent if the name is empty.</summary>
internal readonly ref struct HttpHeader(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
{
    public ReadOnlySpan<byte> Name { get; } = name;

    public ReadOnlySpan<byte> Value { get; } = value;

    public bool IsPresent => !Name.IsEmpty;
}
