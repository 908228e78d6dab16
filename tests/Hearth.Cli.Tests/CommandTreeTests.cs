using System.CommandLine;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Cli.Tests;

public sealed class CommandTreeTests
{
    [Theory]
    [InlineData("run -it img ls -la", "run -it -- img ls -la")]
    [InlineData("run -itv /a:/b img -v", "run -itv /a:/b -- img -v")]
    [InlineData("run --name=x --rm img", "run --name=x --rm -- img")]
    [InlineData("--host /s run -e A=1 img", "--host /s run -e A=1 -- img")]
    [InlineData("run -- img ls", "run -- img ls")]
    [InlineData("exec -it web sh -i", "exec -it -- web sh -i")]
    [InlineData("cri exec -i web cat -t", "cri exec -i -- web cat -t")]
    [InlineData("ps -a", "ps -a")]
    [InlineData("rm web -f", "rm web -f")]
    [InlineData("run", "run")]
    [InlineData("run -w", "run -w")]
    public void What_follows_an_image_or_a_container_is_set_apart(string typed, string parsed) =>
        Assert.Equal(parsed.Split(' '), ArgumentOrder.Separate(CommandTree.Create(), static command => command.Name is "run" or "exec", typed.Split(' ')));

    [Theory]
    [InlineData("ps -a -q --format json")]
    [InlineData("logs -f --tail 5 --since 10m -t web")]
    [InlineData("stop -t 3 a b")]
    [InlineData("kill -s USR1 a")]
    [InlineData("rm -f a b")]
    [InlineData("port-forward web 8080:80 :90")]
    [InlineData("cri runp -r oci pod.json")]
    [InlineData("cri create pod container.json pod.json")]
    [InlineData("cri stopp a")]
    [InlineData("cri rmp -f a")]
    [InlineData("config show --config /x.toml")]
    [InlineData("doctor --format json")]
    [InlineData("version")]
    [InlineData("completion zsh")]
    [InlineData("images -q")]
    public void Commands_are_known_with_their_options(string line) => Assert.Empty(CommandTree.Parse(CommandTree.Create(), line.Split(' ')).Errors);

    [Theory]
    [InlineData("ps --format yaml")]
    [InlineData("rm")]
    [InlineData("exec web")]
    [InlineData("nonsense")]
    public void What_is_no_command_is_told(string line) => Assert.NotEmpty(CommandTree.Parse(CommandTree.Create(), line.Split(' ')).Errors);

    [Fact]
    public void A_shell_is_told_what_may_come_next()
    {
        using var output = new StringWriter();
        const string Line = "hearth p";
        CommandTree.Create().Parse(["[suggest:8]", Line]).Invoke(new InvocationConfiguration { Output = output });

        Assert.Equal(["pods", "port-forward", "ps", "pull"], output.ToString().Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(word => word[0] == 'p').Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_command_has_a_description_and_no_two_options_one_name()
    {
        foreach (Command command in All(CommandTree.Create()))
        {
            Assert.False(string.IsNullOrEmpty(command.Description), command.Name);
            string[] names = [.. command.Options.SelectMany(option => option.Aliases.Append(option.Name))];
            Assert.Equal(names.Length, names.Distinct().Count());
            Assert.All(command.Options, option => Assert.False(string.IsNullOrEmpty(option.Description), $"{command.Name} {option.Name}"));
        }
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);
}
