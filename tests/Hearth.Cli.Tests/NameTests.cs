using CsCheck;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Names;

namespace Hearth.Cli.Tests;

public sealed class NameTests
{
    private static readonly Named<int>[] s_some =
    [
        new("aa11", ["web", "pod/web"], 1),
        new("aa22", ["db"], 2),
        new("bb33", ["web", "other/web"], 3),
        new("db", ["aa22x"], 4),
    ];

    [Theory]
    [InlineData("aa11", 1)]
    [InlineData("aa1", 1)]
    [InlineData("b", 3)]
    [InlineData("pod/web", 1)]
    [InlineData("db", 4)]
    public void A_whole_id_a_name_or_a_unique_beginning_is_enough(string text, int found) => Assert.Equal(found, Lookup.Find(text, s_some, "thing", "list"));

    [Theory]
    [InlineData("aa", "2 things")]
    [InlineData("web", "2 things")]
    [InlineData("c", "list lists them")]
    [InlineData("", "list lists them")]
    public void None_and_several_are_told_apart(string text, string message) =>
        Assert.Contains(message, Assert.Throws<CommandLineException>(() => Lookup.Find(text, s_some, "thing", "list")).Message);

    [Fact]
    public void Any_beginning_that_only_one_id_has_finds_it() =>
        Gen.Select(Gen.String[Gen.Char['a', 'c'], 3, 6].Array[1, 8], Gen.Int[0, 7], Gen.Int[1, 6]).Sample(static (ids, which, length) =>
        {
            ids = [.. ids.Distinct()];
            string id = ids[which % ids.Length];
            string prefix = id[..Math.Min(length, id.Length)];
            Named<string>[] all = [.. ids.Select(one => new Named<string>(one, [], one))];
            int matching = ids.Count(one => one.StartsWith(prefix, StringComparison.Ordinal));
            if (matching == 1 || ids.Contains(prefix))
            {
                Assert.Equal(ids.Contains(prefix) ? prefix : id, Lookup.Find(prefix, all, "thing", "list"));
            }
            else
            {
                Assert.Throws<CommandLineException>(() => Lookup.Find(prefix, all, "thing", "list"));
            }
        });

    [Fact]
    public void Made_up_names_may_be_hosts_names()
    {
        for (int i = 0; i < 100; i++)
        {
            Assert.Matches("^[a-z]+-[a-z]+-[0-9]{2}$", RandomName.Next());
        }
    }
}
