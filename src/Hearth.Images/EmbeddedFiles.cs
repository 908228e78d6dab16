using System.Reflection;

namespace Hearth.Images;

/// <summary>The files of the repository's <c>guest/</c> folder, carried inside the library.</summary>
internal static class EmbeddedFiles
{
    public static byte[] Read(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The resource {name} is missing from the build.");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    public static string ReadText(string name) => System.Text.Encoding.UTF8.GetString(Read(name));
}
