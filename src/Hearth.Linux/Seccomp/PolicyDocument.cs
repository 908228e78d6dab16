using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Hearth.Linux.Seccomp;

/// <summary>
/// Policies as JSON for people: <c>{"api": {"filter": [{"syscall", "args", "errno", "comment"}]}}</c>, arguments as
/// Firecracker's seccompiler has them (<c>index</c>, <c>type</c> dword or qword, <c>op</c>, <c>val</c>), with <c>"self"</c> for
/// this process's id. <c>errno</c> refuses instead of allowing.
/// </summary>
public static class PolicyDocument
{
    private const string OwnProcess = "self";
    private const int MaxArguments = 6;

    private static readonly (string Name, ArgumentComparison Comparison)[] s_comparisons =
    [
        ("eq", ArgumentComparison.Equal), ("ne", ArgumentComparison.NotEqual), ("gt", ArgumentComparison.Greater), ("ge", ArgumentComparison.GreaterOrEqual),
        ("lt", ArgumentComparison.Less), ("le", ArgumentComparison.LessOrEqual),
    ];

    public static byte[] Write(IEnumerable<(string Name, IReadOnlyList<SyscallRule> Rules)> policies)
    {
        var output = new MemoryStream();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            foreach ((string name, IReadOnlyList<SyscallRule> rules) in policies)
            {
                json.WriteStartObject(name);
                json.WriteStartArray("filter");
                foreach (SyscallRule rule in rules)
                {
                    json.WriteRawValue(LineOf(rule));
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        output.WriteByte((byte)'\n');
        return output.ToArray();
    }

    /// <exception cref="HearthException">It is no policy; the message says where.</exception>
    public static IReadOnlyDictionary<string, IReadOnlyList<SyscallRule>> Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            var policies = new Dictionary<string, IReadOnlyList<SyscallRule>>(StringComparer.Ordinal);
            foreach (JsonProperty kind in document.RootElement.EnumerateObject())
            {
                Only(kind.Value, $"\"{kind.Name}\"", "filter");
                int index = 0;
                var rules = new List<SyscallRule>();
                foreach (JsonElement rule in kind.Value.GetProperty("filter").EnumerateArray())
                {
                    rules.Add(RuleOf(rule, $"\"{kind.Name}\", rule {index++}"));
                }

                if (!policies.TryAdd(kind.Name, rules))
                {
                    throw new HearthException($"The policy has \"{kind.Name}\" twice.");
                }
            }

            return policies;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new HearthException($"The seccomp policy is not as it should be: {e.Message}", e);
        }
    }

    private static SyscallRule RuleOf(JsonElement rule, string where)
    {
        Only(rule, where, "syscall", "args", "errno", "comment");
        string name = rule.GetProperty("syscall").GetString() ?? "";
        _ = SyscallTable.NumberOf(name);
        ArgumentCheck[] checks = rule.TryGetProperty("args", out JsonElement arguments) ? [.. arguments.EnumerateArray().Select(argument => CheckOf(argument, where))] : [];
        string comment = rule.TryGetProperty("comment", out JsonElement text) ? text.GetString() ?? "" : "";
        return new SyscallRule(name, comment, checks) { Refusal = rule.TryGetProperty("errno", out JsonElement errno) ? (Errno)errno.GetUInt16() : Errno.None };
    }

    private static ArgumentCheck CheckOf(JsonElement argument, string where)
    {
        Only(argument, where, "index", "type", "op", "val");
        uint index = argument.GetProperty("index").GetUInt32();
        bool is32Bit = argument.GetProperty("type").GetString() switch
        {
            "dword" => true,
            "qword" => false,
            var other => throw new HearthException($"The seccomp policy, {where}: \"{other}\" is no type; it is dword or qword."),
        };
        JsonElement value = argument.GetProperty("val");
        ulong number = value.ValueKind == JsonValueKind.String && value.GetString() == OwnProcess ? SyscallRule.OwnProcess : value.GetUInt64();
        JsonElement op = argument.GetProperty("op");
        if (index >= MaxArguments || (is32Bit && number > uint.MaxValue))
        {
            throw new HearthException($"The seccomp policy, {where}: an argument has an index of 0 to 5, and a dword 32 bits.");
        }

        if (op.ValueKind == JsonValueKind.Object)
        {
            Only(op, where, "masked_eq");
            return new ArgumentCheck(index, ArgumentComparison.MaskedEqual, number, op.GetProperty("masked_eq").GetUInt64(), is32Bit);
        }

        int comparison = Array.FindIndex(s_comparisons, pair => pair.Name == op.GetString());
        return comparison >= 0
            ? new ArgumentCheck(index, s_comparisons[comparison].Comparison, number, Is32Bit: is32Bit)
            : throw new HearthException($"The seccomp policy, {where}: \"{op}\" is no comparison.");
    }

    // A key that is misspelt would be a check that is not made.
    private static void Only(JsonElement element, string where, params ReadOnlySpan<string> keys)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (!keys.Contains(property.Name))
            {
                throw new HearthException($"The seccomp policy, {where}: there is no \"{property.Name}\" here.");
            }
        }
    }

    // A rule on one line.
    private static string LineOf(SyscallRule rule)
    {
        var line = new StringBuilder($"{{ \"syscall\": \"{rule.Name}\"");
        if (rule.Checks.Count > 0)
        {
            line.Append(", \"args\": [").AppendJoin(", ", rule.Checks.Select(TextOf)).Append(']');
        }

        if (rule.Refusal != Errno.None)
        {
            line.Append(CultureInfo.InvariantCulture, $", \"errno\": {(int)rule.Refusal}");
        }

        return line.Append(CultureInfo.InvariantCulture, $", \"comment\": \"{JsonEncodedText.Encode(rule.Reason, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\" }}").ToString();
    }

    private static string TextOf(ArgumentCheck check)
    {
        string op = check.Comparison == ArgumentComparison.MaskedEqual
            ? $"{{ \"masked_eq\": {check.Mask} }}"
            : $"\"{s_comparisons.Single(pair => pair.Comparison == check.Comparison).Name}\"";
        string value = check.Value == SyscallRule.OwnProcess ? $"\"{OwnProcess}\"" : $"{check.Value}";
        return $"{{ \"index\": {check.Index}, \"type\": \"{(check.Is32Bit ? "dword" : "qword")}\", \"op\": {op}, \"val\": {value} }}";
    }
}
