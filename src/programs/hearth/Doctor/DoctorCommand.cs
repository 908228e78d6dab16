using System.CommandLine;
using Hearth.Configuration;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary><c>hearth doctor</c>: what this host has for pods, what it lacks, and how to get that.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        Option<string> format = CommonOptions.Format();
        var command = new Command("doctor", "Looks whether this host can run pods, and says what to do where not") { format };
        command.SetAction(async (result, cancellation) =>
        {
            (HearthConfig config, Finding configuration) = Configuration(result);
            var findings = new List<Finding> { configuration };
            findings.AddRange(await ExamineAsync(HostView.Here(), config, ProgramVersion.Own, cancellation));
            findings.Add(await DaemonAsync(result, config, cancellation));
            if (result.GetValue(format) == CommonOptions.Json)
            {
                Console.WriteLine(ToJson(findings));
            }
            else
            {
                Write(findings, Console.Out, Palette.Output);
            }

            return findings.Any(finding => finding.Verdict == Verdict.Fail) ? 1 : 0;
        });
        return command;
    }

    internal static async Task<IReadOnlyList<Finding>> ExamineAsync(HostView host, HearthConfig config, string version, CancellationToken cancellation) =>
    [
        .. await new MachineChecks(host, config.Microvm).RunAsync(cancellation),
        .. new JailChecks(host, config.Microvm).Run(),
        .. new HostChecks(host, config).Run(),
        .. await new ProgramChecks(host, config, version).RunAsync(cancellation),
    ];

    internal static void Write(IReadOnlyCollection<Finding> findings, TextWriter output, Palette palette)
    {
        int width = findings.Max(finding => finding.Name.Length);
        foreach (Finding finding in findings)
        {
            string word = finding.Verdict switch { Verdict.Ok => palette.Green("ok  "), Verdict.Warn => palette.Yellow("warn"), _ => palette.Red("FAIL") };
            output.WriteLine($"{word}  {finding.Name.PadRight(width)}  {Humane.Printable(finding.Message)}");
            if (finding.Fix is not null)
            {
                output.WriteLine($"      {new string(' ', width)}  {palette.Bold("→")} {finding.Fix}");
            }
        }

        int fails = findings.Count(finding => finding.Verdict == Verdict.Fail);
        int warns = findings.Count(finding => finding.Verdict == Verdict.Warn);
        output.WriteLine();
        output.WriteLine(fails > 0 ? palette.Red($"Pods will not run here: {fails} to mend{(warns > 0 ? $", {warns} to look at" : "")}.")
            : warns > 0 ? palette.Yellow($"Pods run here; {warns} to look at.")
            : palette.Green("Pods run here."));
    }

    internal static string ToJson(IReadOnlyCollection<Finding> findings) => Json.Write(json =>
    {
        json.WriteStartObject();
        json.WriteBoolean("ok", findings.All(finding => finding.Verdict != Verdict.Fail));
        json.WriteStartArray("checks");
        foreach (Finding finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("name", finding.Name);
            json.WriteString("verdict", finding.Verdict switch { Verdict.Ok => "ok", Verdict.Warn => "warn", _ => "fail" });
            json.WriteString("message", finding.Message);
            json.WriteString("fix", finding.Fix);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static (HearthConfig Config, Finding Finding) Configuration(ParseResult result)
    {
        const string Name = "configuration";
        if (Settings.FilePath(result) is not { } path)
        {
            return (new HearthConfig(), Finding.Ok(Name, $"the defaults: there is no {HearthConfig.DefaultPath}"));
        }

        try
        {
            ConfigFile file = ConfigFile.Read(path);
            return (file.Config, file.Problems.Count == 0
                ? Finding.Ok(Name, path)
                : Finding.Fail(Name, file.Problems[0].ToString(), "hearth config check shows all mistakes."));
        }
        catch (ConfigException e)
        {
            return (new HearthConfig(), Finding.Fail(Name, e.Problems[0].ToString(), "Give the right file with --config."));
        }
    }

    private static async Task<Finding> DaemonAsync(ParseResult result, HearthConfig config, CancellationToken cancellation)
    {
        const string Name = "daemon";
        string socket = result.GetValue(CommonOptions.Host) ?? config.Daemon.Socket;
        try
        {
            return await DaemonClient.AnswersAsync(socket, cancellation)
                ? Finding.Ok(Name, $"listens at {socket}")
                : Finding.Ok(Name, $"does not run; hearth run starts it for root (or: systemctl enable --now hearthd)");
        }
        catch (CommandLineException e)
        {
            return Finding.Warn(Name, e.Message, "sudo hearth …");
        }
    }
}
