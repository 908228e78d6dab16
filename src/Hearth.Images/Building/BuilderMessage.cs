using System.Globalization;
using System.Text;
using Hearth.Linux;

namespace Hearth.Images.Building;

/// <summary>
/// What a builder and who uses it say to each other: a word and its fields, each on a line, in one message of a
/// <see cref="ControlChannel"/>. The last field may have lines of its own. Neither side trusts the other's numbers.
/// </summary>
/// <param name="Word">What it is about.</param>
/// <param name="Fields">Text.</param>
internal readonly record struct BuilderMessage(string Word, params string[] Fields)
{
    /// <summary>To the builder: the number of layers, and the limits.</summary>
    public const string Begin = "begin";

    /// <summary>To the builder, with the blob: its number, its digest uncompressed. Back: its number.</summary>
    public const string Layer = "layer";

    /// <summary>To the builder, with the image's file: the manifest's digest.</summary>
    public const string Image = "image";

    /// <summary>To the builder, with a file for the image's passwd and group: it may begin to write.</summary>
    public const string Users = "users";

    /// <summary>From it: how much is done, in thousandths.</summary>
    public const string Share = "share";

    /// <summary>From it: the number of inodes, the lengths of passwd and group in the file of <see cref="Users"/>.</summary>
    public const string Done = "done";

    /// <summary>From it: the fault, the message.</summary>
    public const string Failed = "failed";

    private const int MostFields = 5;

    /// <exception cref="HearthException">The other side is gone.</exception>
    public void Send(ControlChannel channel, FileDescriptor? descriptor = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(string.Join('\n', Fields.Prepend(Word)));
        if (!channel.Send(bytes.AsSpan(0, Math.Min(bytes.Length, ControlChannel.MaxMessage)), descriptor))
        {
            throw new HearthException("The process that reads the image has ended.");
        }
    }

    /// <summary>Waits for a message; null if the other side is gone.</summary>
    public static BuilderMessage? Receive(ControlChannel channel, byte[] buffer, out FileDescriptor? descriptor)
    {
        int length = channel.Receive(buffer, out descriptor);
        if (length <= 0)
        {
            return null;
        }

        string[] fields = Encoding.UTF8.GetString(buffer, 0, length).Split('\n', MostFields);
        return new BuilderMessage(fields[0], fields[1..]);
    }

    /// <summary>A field that is a number within bounds.</summary>
    /// <exception cref="HearthException">It is not.</exception>
    public long Number(int field, long most) =>
        field < Fields.Length && long.TryParse(Fields[field], NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number <= most
            ? number
            : throw new HearthException($"The process that reads the image said \"{Word}\" in a way that makes no sense.");

    public static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
