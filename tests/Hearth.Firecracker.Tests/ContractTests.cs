using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Hearth.Firecracker.Models;

namespace Hearth.Firecracker.Tests;

/// <summary>The records against the field tables of Firecracker's API (contract.txt).</summary>
public sealed class ContractTests
{
    public static TheoryData<string> Bodies => [.. Table.Keys];

    private static Dictionary<string, string[]> Table { get; } = Read();

    [Theory]
    [MemberData(nameof(Bodies))]
    public void A_record_has_the_fields_of_its_body_and_requires_what_that_requires(string name)
    {
        JsonTypeInfo info = InfoOf(name);
        string[] expected = [.. Table[name].Select(static field => field.Split('=')[0]).Order(StringComparer.Ordinal)];
        string[] actual = [.. info.Properties.Select(static property => property.Name + (property.IsRequired ? "!" : "")).Order(StringComparer.Ordinal)];
        // What hearth-vmm has besides.
        Assert.Equal(expected, name == nameof(FullVmConfiguration) ? actual.Except(["filesystems"]) : actual);
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public void A_field_takes_the_values_that_its_enumeration_lists(string name)
    {
        foreach (string field in Table[name].Where(static field => field.Contains('=')))
        {
            string[] parts = field.Split('=');
            JsonPropertyInfo property = InfoOf(name).Properties.Single(property => property.Name == parts[0].TrimEnd('!'));
            Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            Assert.True(type.IsEnum, $"{name}.{property.Name} is no enumeration.");
            IEnumerable<string> actual = Enum.GetValues(type).Cast<object>().Select(value => JsonSerializer.Serialize(value, type, FirecrackerJson.Default).Trim('"').Replace(' ', '_'));
            Assert.Equal(parts[1].Split('|').Order(StringComparer.Ordinal), actual.Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void What_is_not_set_is_not_sent()
    {
        string json = JsonSerializer.Serialize(new Drive { DriveId = "a", IsRootDevice = false, PartUuid = "p" }, FirecrackerJson.Default.Drive);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"drive_id": "a", "is_root_device": false, "partuuid": "p"}"""), JsonNode.Parse(json)), json);
    }

    private static JsonTypeInfo InfoOf(string name)
    {
        Type type = typeof(Drive).Assembly.GetType($"Hearth.Firecracker.Models.{name}") ?? throw new InvalidOperationException($"There is no record {name}.");
        return FirecrackerJson.Default.GetTypeInfo(type) ?? throw new InvalidOperationException($"FirecrackerJson does not know {name}.");
    }

    private static Dictionary<string, string[]> Read()
    {
        using Stream stream = typeof(ContractTests).Assembly.GetManifestResourceStream("contract.txt")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd()
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(static line => !line.StartsWith('#'))
            .Select(static line => line.Split(": "))
            .ToDictionary(static parts => parts[0], static parts => parts[1].Split(' '));
    }
}
