namespace Hearth.Images;

/// <summary>One thing to tell a waiting person.</summary>
/// <param name="Text">A step, as a short phrase.</param>
/// <param name="Percent">How much of the step is done; null where that is not known. Later reports of one step replace earlier ones.</param>
public readonly record struct ImageProgress(string Text, int? Percent = null);
