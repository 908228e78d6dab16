using Hearth.Configuration;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary>Hearth's own programs: whether they are there, and of this version.</summary>
internal sealed class ProgramChecks(HostView host, HearthConfig config, string version)
{
    public async Task<IEnumerable<Finding>> RunAsync(CancellationToken cancellation) =>
    [
        await CheckAsync("hearthd", "--version", needed: true, cancellation),
        await CheckAsync(config.Microvm.Shim, "-v", needed: true, cancellation),
        await CheckAsync(config.Microvm.Monitor, "--version", needed: true, cancellation),
        await CheckAsync(config.Microvm.Jailer, "--version", needed: config.Microvm.Jail, cancellation),
    ];

    private async Task<Finding> CheckAsync(string program, string question, bool needed, CancellationToken cancellation)
    {
        string name = Path.GetFileName(program);
        if (host.Find(program) is not { } path)
        {
            const string Fix = "Put it beside hearth or on PATH, or set its path in [microvm].";
            return needed ? Finding.Fail(name, $"{program} is nowhere", Fix) : Finding.Warn(name, $"{program} is nowhere, and not needed as configured", Fix);
        }

        (int Status, string Said)? answer = await host.TryRunAsync(path, [question], cancellation);
        if (answer is not { Status: 0, Said: { } said })
        {
            return Finding.Warn(name, $"{path} does not say its version", "Is it Hearth's? Install all programs of one version.");
        }

        string first = said.Split('\n')[0].Trim();
        // A user's own firecracker has a version of its own.
        return !name.StartsWith("hearth", StringComparison.Ordinal) || first.Contains(version, StringComparison.Ordinal)
            ? Finding.Ok(name, $"{path} ({first})")
            : Finding.Warn(name, $"{path} is of another version: {first}, and this is {version}", "Install all programs of one version.");
    }
}
