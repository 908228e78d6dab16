using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace Hearth.Testing.Fuzzing;

/// <summary>
/// Runs a target on everything in its corpus (<c>fuzz/corpus/NAME</c>), then on mutations of it: seconds in
/// <c>./test</c>, long by <c>fuzz/run</c>. An input that makes the target throw is saved into the corpus, so that every
/// later run tries it first.
/// <para><c>HEARTH_FUZZ_SECONDS</c> says how long (2 unless told), <c>HEARTH_FUZZ_SEED</c> where the random numbers
/// begin.</para>
/// </summary>
public static class Fuzzer
{
    private const int MaxInputBytes = 4096;

    /// <summary>Throws what a test throws when <paramref name="input"/> shows a defect.</summary>
    public delegate void Target(ReadOnlySpan<byte> input);

    public static void Run(string name, Target target)
    {
        string folder = Path.Combine(Repository(), "fuzz", "corpus", name);
        string[] files = Directory.GetFiles(folder);
        Assert.True(files.Length > 0, $"{folder} has no inputs to begin with.");
        List<byte[]> corpus = [.. files.Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];
        for (int i = 0; i < corpus.Count; i++)
        {
            Try(name, folder, target, corpus[i]);
        }

        // As HEARTH_FUZZ_SEED takes it again: without a sign.
        int seed = Number("HEARTH_FUZZ_SEED", Environment.TickCount & int.MaxValue);
        var budget = TimeSpan.FromSeconds(Number("HEARTH_FUZZ_SECONDS", 2));
        var mutator = new Mutator(new Random(seed), corpus, MaxInputBytes);
        var clock = Stopwatch.StartNew();
        long runs = 0;
        for (; clock.Elapsed < budget; runs++)
        {
            Try(name, folder, target, mutator.Next());
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {runs} inputs from seed {seed}, {corpus.Count} in the corpus");
    }

    private static void Try(string name, string folder, Target target, ReadOnlySpan<byte> input)
    {
        try
        {
            target(input);
        }
        catch (Exception e)
        {
            string file = Path.Combine(folder, $"found-{Convert.ToHexStringLower(SHA256.HashData(input))[..12]}");
            File.WriteAllBytes(file, input);
            throw new InvalidOperationException($"{name}: an input of {input.Length} bytes shows a defect; it is kept in {file}.", e);
        }
    }

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : otherwise;

    private static string Repository()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Fuzz targets run from the checkout they were built in.");
        }

        return folder;
    }
}
