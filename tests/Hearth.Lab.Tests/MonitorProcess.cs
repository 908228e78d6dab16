using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Hearth.Lab.Tests;

/// <summary>A hearth-vmm under test: its console, its keyboard, its API by curl, its end.</summary>
internal sealed partial class MonitorProcess : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(180);

    private readonly Process _process;
    private readonly StringBuilder _console = new();
    private readonly Thread _reader;
    private readonly Thread _errorReader;
    private int _seen;

    public MonitorProcess(params string[] arguments)
    {
        Folder = Directory.CreateTempSubdirectory("hearth-lab-").FullName;
        Socket = Path.Combine(Folder, "api.sock");
        string[] all = arguments.Contains("--no-api") ? arguments : ["--api-sock", Socket, .. arguments];
        _process = Process.Start(new ProcessStartInfo(Lab.Monitor, all)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _reader = Pump(_process.StandardOutput);
        _errorReader = Pump(_process.StandardError);
        if (!all.Contains("--no-api"))
        {
            WaitUntil(() => File.Exists(Socket) || _process.HasExited, "the API socket");
        }
    }

    /// <summary>A folder of the test's own, removed at the end.</summary>
    public string Folder { get; }

    public string Socket { get; }

    public int Id => _process.Id;

    /// <summary>All that the guest and the monitor printed, without carriage returns and colours.</summary>
    public string Console
    {
        get
        {
            lock (_console)
            {
                return EscapeSequence().Replace(_console.ToString(), string.Empty).Replace("\r", string.Empty, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Sends a request by curl; gives the status and the body.</summary>
    public (int Status, string Body) Request(string method, string path, string? body = null)
    {
        List<string> arguments = ["-sS", "-w", "\n%{http_code}", "--unix-socket", Socket, "-X", method, $"http://localhost{path}"];
        if (body is not null)
        {
            arguments.AddRange(["-H", "Content-Type: application/json", "-d", body]);
        }

        using Process curl = Process.Start(new ProcessStartInfo("curl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = curl.StandardOutput.ReadToEnd();
        string error = curl.StandardError.ReadToEnd();
        curl.WaitForExit();
        Assert.True(curl.ExitCode == 0, $"curl {method} {path}: {error}\n{Console}");
        int last = output.LastIndexOf('\n');
        return (int.Parse(output[(last + 1)..], System.Globalization.CultureInfo.InvariantCulture), output[..last]);
    }

    /// <summary>A PUT that must succeed.</summary>
    public void Put(string path, string body) => Expect204("PUT", path, body);

    /// <summary>A PATCH that must succeed.</summary>
    public void Patch(string path, string body) => Expect204("PATCH", path, body);

    /// <summary>Kernel, initrd and arguments; with a quiet console unless told otherwise.</summary>
    public void PutBootSource(string kernel, string? initrd, string arguments)
    {
        string initrdField = initrd is null ? string.Empty : $", \"initrd_path\": \"{initrd}\"";
        Put("/boot-source", $$"""{"kernel_image_path": "{{kernel}}"{{initrdField}}, "boot_args": "{{arguments}}"}""");
    }

    public void PutMachine(int vcpus, int memoryMib) => Put("/machine-config", $$"""{"vcpu_count": {{vcpus}}, "mem_size_mib": {{memoryMib}}}""");

    public void Start() => Put("/actions", """{"action_type": "InstanceStart"}""");

    /// <summary>Types a line at the guest's console.</summary>
    public void Type(string line)
    {
        _process.StandardInput.Write(line + "\n");
        _process.StandardInput.Flush();
    }

    /// <summary>Waits until the console shows <paramref name="pattern"/> after what was awaited before.</summary>
    /// <returns>What its last group matched, or all of it.</returns>
    public string Await(string pattern)
    {
        string? found = null;
        WaitUntil(
            () =>
            {
                string text = Console;
                Match match = Regex.Match(text[Math.Min(_seen, text.Length)..], pattern);
                if (match.Success)
                {
                    _seen += match.Index + match.Length;
                    found = match.Groups[^1].Value;
                }

                return match.Success || _process.HasExited;
            },
            pattern);
        if (found is null)
        {
            _reader.Join(s_deadline);
            string rest = Console[Math.Min(_seen, Console.Length)..];
            Match match = Regex.Match(rest, pattern);
            Assert.True(match.Success, $"the monitor ended ({_process.ExitCode}) before '{pattern}':\n{Console}");
            return match.Groups[^1].Value;
        }

        return found;
    }

    /// <summary>The monitor's exit status, once it has ended by itself.</summary>
    public int AwaitExit()
    {
        Assert.True(_process.WaitForExit(s_deadline), $"the monitor did not end:\n{Console}");
        _reader.Join(s_deadline);
        _errorReader.Join(s_deadline);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    /// <summary>Polls with a deadline.</summary>
    public void WaitUntil(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < s_deadline, $"waited {s_deadline.TotalSeconds} s for {what}:\n{Console}");
            Thread.Sleep(50);
        }
    }

    private void Expect204(string method, string path, string body)
    {
        (int status, string answer) = Request(method, path, body);
        Assert.True(status == 204, $"{method} {path} {body}: {status} {answer}");
    }

    private Thread Pump(StreamReader reader)
    {
        var thread = new Thread(() =>
        {
            char[] buffer = new char[4096];
            int count;
            while ((count = reader.Read(buffer)) > 0)
            {
                lock (_console)
                {
                    _console.Append(buffer, 0, count);
                }
            }
        });
        thread.Start();
        return thread;
    }

    [GeneratedRegex("\u001b\\[[0-9;?]*[a-zA-Z]")]
    private static partial Regex EscapeSequence();
}
