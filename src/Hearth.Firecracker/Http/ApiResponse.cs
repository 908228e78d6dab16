using System.Globalization;
using System.Text;

namespace Hearth.Firecracker.Http;

/// <summary>An answer of the API; its body is JSON, or empty.</summary>
internal readonly record struct ApiResponse(int Status, byte[] Body);

/// <summary>The head of an answer.</summary>
internal readonly record struct ResponseHead(int Status, int ContentLength, bool Closes)
{
    /// <param name="head">Up to the empty line, without it.</param>
    /// <exception cref="IOException">This is no answer of HTTP/1.</exception>
    public static ResponseHead Parse(ReadOnlySpan<byte> head)
    {
        string[] lines = Encoding.Latin1.GetString(head).Split("\r\n");
        string[] words = lines[0].Split(' ', 3);
        if (words.Length < 2
            || !words[0].StartsWith("HTTP/1.", StringComparison.Ordinal)
            || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int status)
            || status is < 100 or > 599)
        {
            throw new IOException($"\"{lines[0]}\" is no HTTP answer.");
        }

        int length = 0;
        bool closes = words[0] == "HTTP/1.0";
        foreach (string line in lines.AsSpan(1))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            string name = colon < 0 ? line : line[..colon];
            string value = colon < 0 ? "" : line[(colon + 1)..].Trim();
            if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                length = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int said)
                    ? said
                    : throw new IOException($"\"{value}\" is no length of a body.");
            }
            else if (name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                throw new IOException($"The answer's body comes in an encoding ({value}) that Firecracker does not use.");
            }
            else if (name.Equals("Connection", StringComparison.OrdinalIgnoreCase))
            {
                closes = value.Equals("close", StringComparison.OrdinalIgnoreCase);
            }
        }

        return new ResponseHead(status, status is 204 or 304 ? 0 : length, closes);
    }
}
