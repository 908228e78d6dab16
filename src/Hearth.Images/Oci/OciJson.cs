using System.Text.Json.Serialization;
using Hearth.Images.Registries;
using Hearth.Images.Store;

namespace Hearth.Images.Oci;

/// <summary>How the documents of images, registries and the store are read and written, without reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ManifestDocument))]
[JsonSerializable(typeof(ConfigDocument))]
[JsonSerializable(typeof(List<DockerArchiveImage>))]
[JsonSerializable(typeof(TokenDocument))]
[JsonSerializable(typeof(ErrorsDocument))]
[JsonSerializable(typeof(DockerConfigDocument))]
[JsonSerializable(typeof(ReferenceRecord))]
[JsonSerializable(typeof(ImageRecord))]
internal sealed partial class OciJson : JsonSerializerContext;
