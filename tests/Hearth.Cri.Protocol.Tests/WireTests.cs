using Google.Protobuf.Reflection;

namespace Hearth.Cri.Protocol.Tests;

/// <summary>
/// The messages against a list of what is on the wire (<c>cri-v1.txt</c>), in both directions: a number that is wrong, missing or
/// too many would be silence between a kubelet and Hearth, not an error.
/// </summary>
public class WireTests
{
    private static readonly FileDescriptor s_file = CriReflection.Descriptor;

    [Fact]
    public void Package_is_the_one_clients_ask_for() => Assert.Equal("runtime.v1", s_file.Package);

    [Fact]
    public void Services_have_the_methods_of_the_interface() =>
        AssertSame("service", s_file.Services.ToDictionary(
            static service => service.Name,
            static service => service.Methods.Select(static method =>
                $"{method.Name} {method.InputType.Name} {(method.IsServerStreaming ? "stream " : "")}{method.OutputType.Name}{(method.IsClientStreaming ? " from a stream" : "")}")));

    [Fact]
    public void Messages_have_the_fields_of_the_interface() =>
        AssertSame("message", s_file.MessageTypes.ToDictionary(
            static message => message.Name,
            static message => message.Fields.InDeclarationOrder().Select(static field => $"{field.FieldNumber} {field.Name} {TypeOf(field)}")));

    [Fact]
    public void Enumerations_have_the_values_of_the_interface() =>
        AssertSame("enum", s_file.EnumTypes.Select(static type => (type.Name, type))
            .Concat(s_file.MessageTypes.SelectMany(static message => message.EnumTypes.Select(type => ($"{message.Name}.{type.Name}", type))))
            .ToDictionary(static type => type.Item1, static type => type.Item2.Values.Select(static value => $"{value.Number} {value.Name}")));

    [Fact]
    public void The_list_is_read_in_full()
    {
        Assert.Equal(2, Listed("service").Count);
        Assert.True(Listed("message").Count > 150);
        Assert.Contains("1 profile_type ProfileType", Listed("message")["SecurityProfile"]);
    }

    private static void AssertSame(string kind, IReadOnlyDictionary<string, IEnumerable<string>> ours)
    {
        Dictionary<string, List<string>> theirs = Listed(kind);
        Assert.Equal(theirs.Keys.Order(StringComparer.Ordinal), ours.Keys.Order(StringComparer.Ordinal));
        foreach ((string name, List<string> lines) in theirs)
        {
            Assert.Equal(
                lines.Order(StringComparer.Ordinal).Select(line => $"{name}: {line}"),
                ours[name].Order(StringComparer.Ordinal).Select(line => $"{name}: {line}"));
        }
    }

    private static string TypeOf(FieldDescriptor field)
    {
        if (field.IsMap)
        {
            return $"map<{TypeOf(field.MessageType.FindFieldByNumber(1))},{TypeOf(field.MessageType.FindFieldByNumber(2))}>";
        }

        string type = field.FieldType switch
        {
            FieldType.Message => field.MessageType.Name,
            FieldType.Enum => field.EnumType.Name,
            _ => field.FieldType.ToString().ToLowerInvariant(),
        };
        return field.IsRepeated ? $"repeated {type}" : type;
    }

    private static Dictionary<string, List<string>> Listed(string kind)
    {
        var listed = new Dictionary<string, List<string>>();
        List<string>? current = null;
        using var reader = new StreamReader(typeof(WireTests).Assembly.GetManifestResourceStream("cri-v1.txt")!);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith("  ", StringComparison.Ordinal))
            {
                current?.Add(line.Trim());
            }
            else
            {
                string[] words = line.Split(' ');
                current = words[0] == kind ? listed[words[1]] = [] : null;
            }
        }

        return listed;
    }
}
