namespace Hearth.House.Tests;

/// <summary>Tells C# code from comments and strings, well enough for rules that look for words.</summary>
internal static class CSharpText
{
    /// <summary>The text with the contents of comments, strings and characters replaced by spaces; newlines stay.</summary>
    public static string Blank(string text)
    {
        char[] result = text.ToCharArray();
        int i = 0;
        while (i < text.Length)
        {
            int end = EndOfBlank(text, i);
            if (end == i)
            {
                i++;
                continue;
            }

            for (; i < end; i++)
            {
                if (text[i] != '\n')
                {
                    result[i] = ' ';
                }
            }
        }

        return new string(result);
    }

    // Where the comment or literal that starts here ends; the same position where none starts.
    private static int EndOfBlank(string text, int start)
    {
        ReadOnlySpan<char> rest = text.AsSpan(start);
        if (rest.StartsWith("//"))
        {
            return After(text, "\n", start, inclusive: false);
        }

        if (rest.StartsWith("/*"))
        {
            return After(text, "*/", start + 2, inclusive: true);
        }

        if (rest.StartsWith("\"\"\""))
        {
            int quotes = rest.IndexOfAnyExcept('"');
            return quotes < 0 ? text.Length : After(text, new string('"', quotes), start + quotes, inclusive: true);
        }

        if (rest.StartsWith("@\"") || rest.StartsWith("$@\"") || rest.StartsWith("@$\""))
        {
            return EndOfVerbatim(text, start + rest.IndexOf('"') + 1);
        }

        return rest[0] is '"' or '\'' ? EndOfQuoted(text, start) : start;
    }

    private static int After(string text, string mark, int from, bool inclusive)
    {
        int at = from > text.Length ? -1 : text.IndexOf(mark, from, StringComparison.Ordinal);
        return at < 0 ? text.Length : at + (inclusive ? mark.Length : 0);
    }

    private static int EndOfVerbatim(string text, int from)
    {
        int i = from;
        while (i < text.Length)
        {
            if (text[i] == '"')
            {
                if (i + 1 < text.Length && text[i + 1] == '"')
                {
                    i++;
                }
                else
                {
                    return i + 1;
                }
            }

            i++;
        }

        return text.Length;
    }

    private static int EndOfQuoted(string text, int start)
    {
        char quote = text[start];
        for (int i = start + 1; i < text.Length; i++)
        {
            if (text[i] == '\\')
            {
                i++;
            }
            else if (text[i] == quote || text[i] == '\n')
            {
                return i + 1;
            }
        }

        return text.Length;
    }
}
