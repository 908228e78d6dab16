using Hearth.Linux;

namespace Hearth.Programs.Jailer;

/// <summary>The jail cannot be built as asked; ends the jailer with status 1.</summary>
internal sealed class JailerException(string message) : HearthException(message);
