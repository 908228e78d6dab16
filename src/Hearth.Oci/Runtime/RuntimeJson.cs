using System.Text.Json.Serialization;

namespace Hearth.Oci.Runtime;

/// <summary>Readers and writers of the runtime specification, made at build time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RuntimeSpec))]
[JsonSerializable(typeof(ProcessSpec))]
[JsonSerializable(typeof(ResourcesSpec))]
[JsonSerializable(typeof(SeccompSpec))]
public sealed partial class RuntimeJson : JsonSerializerContext;
