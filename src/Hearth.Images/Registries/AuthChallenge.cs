namespace Hearth.Images.Registries;

/// <summary>A <c>WWW-Authenticate</c> header: a scheme and its parameters. Source: RFC 9110 §11.6.1.</summary>
internal sealed record AuthChallenge(string Scheme, IReadOnlyDictionary<string, string> Parameters)
{
    public string? this[string name] => Parameters.GetValueOrDefault(name);

    /// <summary>Reads the parameters behind a scheme: <c>realm="https://…",service="…"</c>.</summary>
    public static AuthChallenge Parse(string scheme, string? parameters)
    {
        var read = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        ReadOnlySpan<char> rest = parameters;
        while (!(rest = rest.TrimStart(" ,\t")).IsEmpty)
        {
            int equals = rest.IndexOf('=');
            if (equals <= 0)
            {
                break;
            }

            string name = rest[..equals].Trim().ToString();
            rest = rest[(equals + 1)..].TrimStart();
            read[name] = Value(ref rest);
        }

        return new AuthChallenge(scheme, read);
    }

    private static string Value(ref ReadOnlySpan<char> rest)
    {
        if (rest.IsEmpty || rest[0] != '"')
        {
            int end = rest.IndexOf(',');
            string token = (end < 0 ? rest : rest[..end]).Trim().ToString();
            rest = end < 0 ? default : rest[end..];
            return token;
        }

        var value = new System.Text.StringBuilder();
        int i = 1;
        for (; i < rest.Length && rest[i] != '"'; i++)
        {
            i += rest[i] == '\\' && i + 1 < rest.Length ? 1 : 0;
            value.Append(rest[i]);
        }

        rest = i < rest.Length ? rest[(i + 1)..] : default;
        return value.ToString();
    }
}
