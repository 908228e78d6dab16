using System.CommandLine;
using Hearth.Configuration;

namespace Hearth.Programs.Hearth.Shell;

/// <summary><c>hearth config default|check|show</c>.</summary>
internal static class ConfigCommands
{
    public static Command Create()
    {
        var standard = new Command("default", "Prints a configuration with all keys, what they mean, and their defaults");
        standard.SetAction(_ => Console.Write(new HearthConfig().ToToml()));

        var path = new Argument<string?>("FILE") { Description = "By default, the one in use", Arity = ArgumentArity.ZeroOrOne };
        var check = new Command("check", "Says what is wrong in a configuration, and where: also files and programs that are not there") { path };
        check.SetAction(result => Check(result.GetValue(path) ?? Settings.FilePath(result)));

        var show = new Command("show", "Prints the configuration in use, with what the file leaves to the defaults");
        show.SetAction(result =>
        {
            var settings = Settings.Of(result);
            Console.Write(settings.Config.ToToml());
        });
        return new Command("config", "Shows and checks the configuration") { standard, check, show };
    }

    private static int Check(string? path)
    {
        if (path is null)
        {
            Console.Error.WriteLine($"hearth: there is no {HearthConfig.DefaultPath}, so the defaults are in use. hearth config default prints a file to begin with.");
            return 0;
        }

        ConfigFile file = ConfigFile.Read(path);
        ConfigProblem[] problems = [.. file.Problems, .. file.CheckHost()];
        foreach (ConfigProblem problem in problems)
        {
            Console.WriteLine(problem);
        }

        if (problems.Length == 0)
        {
            Console.WriteLine($"{path}: nothing is wrong");
        }

        return problems.Length == 0 ? 0 : 1;
    }
}
