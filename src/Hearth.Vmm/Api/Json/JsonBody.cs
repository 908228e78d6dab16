using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Hearth.Vmm.Api.Json;

/// <summary>A body that is not what its endpoint takes; the message is the <c>fault_message</c>.</summary>
public sealed class JsonBodyException : Linux.HearthException
{
    private const string Prefix = "An error occurred when deserializing the json body of a request: ";

    public JsonBodyException(string problem)
        : base(Prefix + problem + ".") => Problem = problem;

    /// <summary>What is wrong and where, for a JSON text that is no request's body.</summary>
    public string Problem { get; }

    /// <summary>For any other text that is no JSON. The library's own words are only a resource key in a trimmed program.</summary>
    public static JsonBodyException From(JsonException failure) => new(
        failure.LineNumber is { } line ? $"expected value at line {line + 1} column {failure.BytePositionInLine}" : "invalid unicode code point");
}

/// <summary>
/// One JSON object whose fields are all known: unknown and duplicate fields, wrong types and trailing text are refused
/// in the words Firecracker's clients know (serde's). Thread: one.
/// </summary>
public sealed class JsonBody
{
    private readonly Dictionary<string, Field> _fields = new(StringComparer.Ordinal);
    private readonly byte[] _text;
    private int _end;

    private JsonBody(byte[] text) => _text = text;

    /// <summary>Reads an object that may have the fields <paramref name="known"/>.</summary>
    /// <exception cref="JsonBodyException">It is no JSON, no object, or has other fields.</exception>
    public static JsonBody Parse(ReadOnlySpan<byte> text, params scoped ReadOnlySpan<string> known)
    {
        var body = new JsonBody(text.ToArray());
        body.CheckText();
        var reader = new Utf8JsonReader(body._text);
        try
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw body.Fault($"invalid type: {Describe(ref reader)}, expected an object", reader.BytesConsumed);
            }

            body.ReadFields(ref reader, known);
        }
        catch (JsonException e)
        {
            // The library's own text is only a resource key in a trimmed program; where it stopped says enough.
            bool atEnd = reader.BytesConsumed >= body._text.AsSpan().TrimEnd(" \t\r\n"u8).Length;
            throw new JsonBodyException($"{(atEnd ? "EOF while parsing a value" : "expected value")} at line {e.LineNumber + 1} column {e.BytePositionInLine}");
        }

        int rest = body._text.AsSpan(body._end).IndexOfAnyExcept(" \t\r\n"u8);
        return rest < 0 ? body : throw body.Fault("trailing characters", body._end + rest + 1);
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => _fields.TryGetValue(name, out Field field) && field.Value.ValueKind != JsonValueKind.Null;

    public string RequiredString(string name) => OptionalString(name) ?? throw MissingOrNull(name, "a string");

    public string? OptionalString(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        Field field = _fields[name];
        return field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString() : throw WrongType(field, "a string");
    }

    public bool RequiredBool(string name) => OptionalBool(name) ?? throw MissingOrNull(name, "a boolean");

    public bool? OptionalBool(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        Field field = _fields[name];
        return field.Value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw WrongType(field, "a boolean"),
        };
    }

    public ulong RequiredNumber(string name, ulong most, string type) => OptionalNumber(name, most, type) ?? throw MissingOrNull(name, type);

    /// <summary>A whole number from 0 to <paramref name="most"/>; <paramref name="type"/> is its name in errors (<c>u8</c>).</summary>
    public ulong? OptionalNumber(string name, ulong most, string type)
    {
        if (!Has(name))
        {
            return null;
        }

        Field field = _fields[name];
        if (field.Value.ValueKind != JsonValueKind.Number)
        {
            throw WrongType(field, type);
        }

        if (field.Value.TryGetUInt64(out ulong value) && value <= most)
        {
            return value;
        }

        // As serde does, what fits no 64-bit integer is a floating point number, and so of the wrong type.
        string number = Number(field.Value);
        string wrong = number[0] == 'f' ? "type" : "value";
        throw Fault($"invalid {wrong}: {number}, expected {type}", field.End);
    }

    /// <summary>One of a few words; null if the field is not there.</summary>
    public T? OptionalWord<T>(string name, params ReadOnlySpan<(string Word, T Value)> words)
        where T : struct
    {
        if (OptionalString(name) is not { } given)
        {
            return null;
        }

        var expected = new List<string>();
        foreach ((string word, T value) in words)
        {
            if (word == given)
            {
                return value;
            }

            expected.Add(word);
        }

        throw Fault($"unknown variant `{given}`, expected {OneOf([.. expected])}", _fields[name].End);
    }

    /// <summary>The bytes of an object in a field, for another <see cref="Parse"/>; null if the field is not there.</summary>
    public byte[]? OptionalObject(string name) => OptionalRaw(name, JsonValueKind.Object, "a map");

    /// <summary>The objects of an array in a field; empty if it is not there.</summary>
    public IEnumerable<byte[]> OptionalArray(string name)
    {
        if (!Has(name))
        {
            return [];
        }

        Field field = _fields[name];
        return field.Value.ValueKind == JsonValueKind.Array
            ? field.Value.EnumerateArray().Select(e => Encoding.UTF8.GetBytes(e.GetRawText()))
            : throw WrongType(field, "a sequence");
    }

    /// <summary>An array of strings.</summary>
    public string[] RequiredStrings(string name)
    {
        if (!Has(name))
        {
            throw Missing(name);
        }

        Field field = _fields[name];
        if (field.Value.ValueKind != JsonValueKind.Array)
        {
            throw WrongType(field, "a sequence");
        }

        return [.. field.Value.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.String ? item.GetString()! : throw WrongType(new Field(item, field.End), "a string"))];
    }

    /// <summary>An object of strings; null if the field is not there.</summary>
    public KeyValuePair<string, string>[]? OptionalStringMap(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        Field field = _fields[name];
        if (field.Value.ValueKind != JsonValueKind.Object)
        {
            throw WrongType(field, "a map");
        }

        return [.. field.Value.EnumerateObject().Select(item => KeyValuePair.Create(
            item.Name,
            item.Value.ValueKind == JsonValueKind.String ? item.Value.GetString()! : throw WrongType(new Field(item.Value, field.End), "a string")))];
    }

    /// <summary>The error for a field that must be there and is not.</summary>
    public JsonBodyException Missing(string name) => Fault($"missing field `{name}`", _end);

    private byte[]? OptionalRaw(string name, JsonValueKind kind, string expected)
    {
        if (!Has(name))
        {
            return null;
        }

        Field field = _fields[name];
        return field.Value.ValueKind == kind ? Encoding.UTF8.GetBytes(field.Value.GetRawText()) : throw WrongType(field, expected);
    }

    private JsonBodyException MissingOrNull(string name, string expected) =>
        _fields.TryGetValue(name, out Field field) ? WrongType(field, expected) : Missing(name);

    private static string OneOf(string[] names) => names.Length switch
    {
        0 => "no fields",
        1 => $"`{names[0]}`",
        2 => $"`{names[0]}` or `{names[1]}`",
        _ => $"one of `{string.Join("`, `", names)}`",
    };

    /// <summary>
    /// Refuses strings that are no text, anywhere in the body: bytes that are not UTF-8, and escapes of half a
    /// character. The library finds both only when a string is taken, and then throws as for a bug.
    /// </summary>
    private void CheckText()
    {
        if (!Utf8.IsValid(_text))
        {
            throw new JsonBodyException("invalid unicode code point");
        }

        var reader = new Utf8JsonReader(_text);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
            }
        }
        catch (InvalidOperationException)
        {
            throw Fault("lone leading surrogate in hex escape", reader.BytesConsumed);
        }
        catch (JsonException)
        {
            // Said with its place where the fields are read.
        }
    }

    private void ReadFields(ref Utf8JsonReader reader, scoped ReadOnlySpan<string> known)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            if (!known.Contains(name))
            {
                throw Fault($"unknown field `{name}`, expected {OneOf(known.ToArray())}", reader.BytesConsumed - 1);
            }

            if (_fields.ContainsKey(name))
            {
                throw Fault($"duplicate field `{name}`", reader.BytesConsumed - 1);
            }

            using JsonDocument value = JsonDocument.ParseValue(ref reader);
            _fields[name] = new Field(value.RootElement.Clone(), reader.BytesConsumed);
        }

        _end = (int)reader.BytesConsumed;
    }

    private JsonBodyException WrongType(Field field, string expected) => Fault($"invalid type: {Describe(field.Value)}, expected {expected}", field.End);

    private JsonBodyException Fault(string problem, long offset)
    {
        ReadOnlySpan<byte> before = _text.AsSpan(0, (int)Math.Min(offset, _text.Length));
        int line = before.Count((byte)'\n') + 1;
        int column = before.Length - (before.LastIndexOf((byte)'\n') + 1);
        return new JsonBodyException(string.Create(CultureInfo.InvariantCulture, $"{problem} at line {line} column {column}"));
    }

    private static string Describe(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => $"string \"{reader.GetString()}\"",
        JsonTokenType.Number => $"number `{Encoding.UTF8.GetString(reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan)}`",
        JsonTokenType.StartArray => "sequence",
        JsonTokenType.True => "boolean `true`",
        JsonTokenType.False => "boolean `false`",
        _ => "null",
    };

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => $"string \"{value.GetString()}\"",
        JsonValueKind.Number => Number(value),
        JsonValueKind.Array => "sequence",
        JsonValueKind.Object => "map",
        JsonValueKind.True => "boolean `true`",
        JsonValueKind.False => "boolean `false`",
        _ => "null",
    };

    private static string Number(JsonElement value)
    {
        string text = value.GetRawText();
        return !value.TryGetUInt64(out _) && !value.TryGetInt64(out _) ? $"floating point `{text}`" : $"integer `{text}`";
    }

    private readonly record struct Field(JsonElement Value, long End);
}
