using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Hearth.Vmm.Tests.Api;

/// <summary>The published program with real clients: curl, and raw sockets that misbehave. No guest is started.</summary>
public sealed class MonitorProgramTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-program-").FullName;
    private readonly List<Process> _processes = [];

    // By which the monitor is started; null for its own.
    private string? _name;

    private string SocketPath => Path.Combine(_folder, "api.sock");

    public void Dispose()
    {
        foreach (Process process in _processes)
        {
            if (!process.HasExited)
            {
                process.Kill();
                process.WaitForExit();
            }

            process.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void Curl_sees_firecrackers_answers_byte_by_byte()
    {
        Listen();
        string answer = Curl("-i", "http://localhost/version");
        Assert.StartsWith("HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("""{"firecracker_version":"1.17.0"}""", answer, StringComparison.Ordinal);
        string done = Curl("-i", "-X", "PUT", "http://localhost/machine-config", "-d", """{"vcpu_count":2,"mem_size_mib":256}""");
        Assert.Equal("HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n", done);
        Assert.Contains("\"vcpu_count\":2", Curl("http://localhost/vm/config"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_monitor_uses_all_the_descriptors_it_was_given()
    {
        Listen();
        string limits = File.ReadAllText($"/proc/{_processes[^1].Id}/limits").Split('\n').Single(line => line.StartsWith("Max open files", StringComparison.Ordinal));
        string[] words = limits.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(words[4], words[3]);
    }

    [Fact]
    public void Metrics_begin_with_how_long_the_start_took()
    {
        string path = Path.Combine(_folder, "metrics");
        long now = Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000);
        Listen("--metrics-path", path, "--start-time-us", $"{now - 5_000_000}", "--start-time-cpu-us", "0", "--parent-cpu-time-us", "7000000");
        _processes[^1].StandardInput.Close();
        Assert.Contains("metrics_path", Curl("http://localhost/vm/config"), StringComparison.Ordinal);
        // A config file that is refused ends the monitor in good order, which writes the last line.
        (int code, _) = Run("--no-api", "--config-file", "/nonexistent", "--metrics-path", path + "2", "--start-time-us", $"{now - 5_000_000}");
        Assert.NotEqual(0, code);
        Assert.Contains("\"api_server\":{", File.ReadAllText(path + "2"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_body_that_curl_announces_with_expect_is_asked_for()
    {
        Listen();
        string body = "{\"kernel_image_path\":\"/nonexistent\",\"boot_args\":\"" + new string('a', 1500) + "\"}";
        string answer = Curl("-i", "-H", "Expect: 100-continue", "-X", "PUT", "http://localhost/boot-source", "-d", body);
        Assert.Contains("HTTP/1.1 100 ", answer, StringComparison.Ordinal);
        Assert.Contains("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("The kernel file cannot be opened", answer, StringComparison.Ordinal);
    }

    [Fact]
    public void Pipelined_and_dribbled_requests_are_answered_in_order()
    {
        Listen();
        using Socket client = Connect();
        byte[] requests = Encoding.ASCII.GetBytes("GET /version HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nPUT /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
        for (int i = 0; i < requests.Length; i += 7)
        {
            client.Send(requests.AsSpan(i, Math.Min(7, requests.Length - i)));
        }

        string answers = ReceiveUntil(client, "PUT /x.\"}");
        Assert.True(answers.IndexOf("firecracker_version", StringComparison.Ordinal) < answers.IndexOf("Not started", StringComparison.Ordinal));
    }

    [Fact]
    public void The_eleventh_client_is_turned_away_and_the_ten_are_served()
    {
        Listen();
        var clients = new List<Socket>();
        for (int i = 0; i < 10; i++)
        {
            Socket client = Connect();
            client.Send("GET /version HTTP/1.1\r\n\r\n"u8);
            ReceiveUntil(client, "1.17.0");
            clients.Add(client);
        }

        using (Socket eleventh = Connect())
        {
            Assert.Equal(
                "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{ \"error\": \"Too many open connections\" }",
                ReceiveUntil(eleventh, "}"));
        }

        clients[3].Send("GET / HTTP/1.1\r\n\r\n"u8);
        ReceiveUntil(clients[3], "Not started");
        clients.ForEach(c => c.Dispose());
        // A place is free again once the monitor has seen the others go.
        var clock = Stopwatch.StartNew();
        string last;
        do
        {
            using Socket next = Connect();
            next.Send("GET /version HTTP/1.1\r\n\r\n"u8);
            last = ReceiveUntil(next, "}");
        }
        while (!last.Contains("1.17.0", StringComparison.Ordinal) && clock.Elapsed < s_deadline);
        Assert.Contains("1.17.0", last, StringComparison.Ordinal);
    }

    [Fact]
    public void Curl_sees_the_payload_limit_byte_by_byte()
    {
        Listen("--http-api-max-payload-size", "250");
        string answer = Curl("-i", "-X", "PUT", "http://localhost/mmds/config", "-H", "Content-Length: 260", "-H", "Accept: application/json", "-d", "some body");
        Assert.Equal(
            "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 145\r\n\r\n"
            + "{ \"error\": \"Request payload with size 260 is larger than the limit of 250 allowed by server.\nAll previous unanswered requests will be dropped.\" }",
            answer);
    }

    [Fact]
    public void A_body_far_too_large_is_refused_and_its_connection_lives_on()
    {
        Listen();
        using Socket client = Connect();
        client.Send([.. "PUT /mmds HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n"u8, .. new byte[3_000_000], .. "GET /version HTTP/1.1\r\n\r\n"u8]);
        string answers = ReceiveUntil(client, "1.17.0");
        Assert.Contains("Request payload with size 3000000 is larger", answers, StringComparison.Ordinal);
        Assert.Contains("firecracker_version", answers, StringComparison.Ordinal);
    }

    [Fact]
    public void More_answers_than_are_kept_at_once_all_arrive()
    {
        Listen();
        string document = "{\"a\":\"" + new string('x', 50_000) + "\"}";
        using Socket client = Connect();
        client.Send(Encoding.ASCII.GetBytes($"PUT /mmds HTTP/1.1\r\nContent-Length: {document.Length}\r\n\r\n{document}"));
        ReceiveUntil(client, "204");
        const int Count = 150;
        client.Send(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET /mmds HTTP/1.1\r\n\r\n", Count))));
        long total = 0;
        byte[] buffer = new byte[1 << 20];
        while (total < (long)Count * document.Length)
        {
            int count = client.Receive(buffer);
            Assert.NotEqual(0, count);
            total += count;
        }
    }

    [Theory]
    [InlineData("{\"kernel_image_path\":\"\\ud800\"}")]
    [InlineData("{\"\u00ff\":1}")]
    public void Strings_that_are_no_text_do_not_end_the_monitor(string body)
    {
        Listen();
        using Socket client = Connect();
        client.Send([.. Encoding.ASCII.GetBytes($"PUT /boot-source HTTP/1.1\r\nContent-Length: {body.Length}\r\n\r\n"), .. Encoding.Latin1.GetBytes(body)]);
        Assert.StartsWith("HTTP/1.1 400 ", ReceiveUntil(client, "}"), StringComparison.Ordinal);
        Assert.Contains("Not started", Curl("http://localhost/"), StringComparison.Ordinal);
    }

    [Fact]
    public void Half_requests_huge_bodies_and_vanishing_clients_leave_the_api_answering()
    {
        Listen();
        using Socket half = Connect();
        half.Send("PUT /boot-source HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"ker"u8);
        using (Socket gone = Connect())
        {
            gone.Send("PUT /boot-source HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"u8);
        }

        using (Socket huge = Connect())
        {
            huge.Send("PUT /mmds HTTP/1.1\r\nContent-Length: 51201\r\n\r\n"u8);
            string answer = ReceiveUntil(huge, "dropped.");
            Assert.Contains("Request payload with size 51201 is larger than the limit of 51200 allowed by server.\nAll previous unanswered requests will be dropped.", answer, StringComparison.Ordinal);
        }

        using (Socket nonsense = Connect())
        {
            nonsense.Send("\0\u0001\u0002\r\n\r\n"u8);
            Assert.StartsWith("HTTP/1.1 400 ", ReceiveUntil(nonsense, "dropped."), StringComparison.Ordinal);
        }

        Assert.Contains("Not started", Curl("http://localhost/"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_socket_path_in_use_is_refused_and_left_alone()
    {
        Listen();
        (int code, string output) = Run("--api-sock", SocketPath);
        Assert.Equal(1, code);
        Assert.Contains($"Failed to open the API socket at: {SocketPath}. Check that it is not already used.", output, StringComparison.Ordinal);
        Assert.Contains("Not started", Curl("http://localhost/"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(153, "Found argument 'bogus' which wasn't expected", "--bogus")]
    [InlineData(153, "requires a value", "--api-sock")]
    [InlineData(153, "Argument 'config-file' required, but not found.", "--no-api")]
    [InlineData(152, "Unable to open or read", "--no-api", "--api-sock", "/nonexistent/s", "--config-file", "/nonexistent")]
    [InlineData(153, "'--enable-pci' is not supported by hearth-vmm yet", "--enable-pci")]
    [InlineData(0, "Firecracker v1.17.0", "--bogus", "--version")]
    [InlineData(0, "--strict-firecracker", "-h", "--bogus")]
    [InlineData(0, "Options:", "--version", "--help")]
    [InlineData(153, "Invalid instance ID", "--id", "a_b")]
    [InlineData(153, "was provided more than once", "--id", "a", "--id", "b")]
    [InlineData(152, "Invalid value for logger level: loud", "--level", "loud")]
    [InlineData(153, "takes a whole number", "--http-api-max-payload-size", "x")]
    [InlineData(152, "Unable to open or read from the configuration file", "--no-api", "--config-file", "/nonexistent")]
    [InlineData(0, "Firecracker v1.17.0", "--version")]
    [InlineData(0, "--api-sock <PATH>", "--help")]
    public void Arguments_end_with_the_known_codes(int code, string expected, params string[] arguments)
    {
        (int actual, string output) = Run(arguments);
        Assert.Contains(expected, output, StringComparison.Ordinal);
        Assert.Equal(code, actual);
    }

    [Fact]
    public void Under_firecrackers_name_the_monitor_is_strictly_that()
    {
        _name = Path.Combine(_folder, "firecracker");
        File.CreateSymbolicLink(_name, Program);
        Listen();

        string refused = Curl("-X", "PUT", "http://localhost/filesystems/a", "-d", """{"tag":"a","socket":"/s"}""");

        Assert.Contains("--strict-firecracker", refused, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "line 1")]
    [InlineData("""{"drives":[]}""", "missing field `boot-source`")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/nonexistent"},"drives":[]}""", "failed: Boot source error: The kernel file cannot be opened")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"toaster":{}}""", "unknown field `toaster`")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"machine-config":{"vcpu_count":0,"mem_size_mib":1}}""", "failed: Machine config error")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"machine-config":{"vcpu_count":1,"mem_size_mib":99999999}}""", "more than the")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null","boot_args":null,"initrd_path":null},"drives":[],"machine-config":{"vcpu_count":1,"mem_size_mib":99999999},"cpu-config":null,"balloon":null,"network-interfaces":[],"vsock":null,"logger":null,"metrics":null,"mmds-config":null,"entropy":null,"pmem":[],"memory-hotplug":null}""", "more than the")]
    [InlineData("""{"boot-source":[],"drives":[]}""", "Invalid JSON: boot-source: invalid type: sequence, expected a map")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":{} }""", "Invalid JSON: drives: invalid type: map, expected a sequence")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[7]}""", "Invalid JSON: drives: ")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"balloon":{}}""", "failed: The balloon device (/balloon) is not supported by hearth-vmm yet")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"machine-config":{"mem_size_mib":1}}""", "Configuration for VMM from one single json failed: Invalid JSON: machine-config: missing field `vcpu_count` at line 1 column 18")]
    public void A_bad_config_file_ends_with_152_and_says_why(string text, string expected)
    {
        string path = Path.Combine(_folder, "vm.json");
        File.WriteAllText(path, text);
        (int code, string output) = Run("--no-api", "--config-file", path);
        Assert.Contains(expected, output, StringComparison.Ordinal);
        Assert.Equal(152, code);
    }

    [Fact]
    public void The_log_goes_where_it_is_told()
    {
        string log = Path.Combine(_folder, "log");
        Listen("--log-path", log, "--show-level", "--show-log-origin", "--id", "vm-1");
        Assert.Contains("fault_message", Curl("-X", "PUT", "http://localhost/logger", "-d", """{"log_path":"/nonexistent/x"}"""), StringComparison.Ordinal);
        string[] lines = File.ReadAllLines(log);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9} \[vm-1:main:INFO:[^\]]+\.cs:\d+\] Running Firecracker v1\.17\.0", lines[0]);
        Assert.Contains(lines, line => line.EndsWith("""The API server received a Put request on "/logger" with body "{\"log_path\":\"/nonexistent/x\"}".""", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains(":ERROR:", StringComparison.Ordinal) && line.Contains("Received Error. Status code: 400 Bad Request.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_log_filtered_by_module_and_level_has_nothing_else()
    {
        string log = Path.Combine(_folder, "log");
        Listen("--log-path", log, "--module", "Hearth.Vmm.Api");
        Curl("http://localhost/");
        Assert.All(File.ReadAllLines(log), line => Assert.Contains("reque", line, StringComparison.Ordinal));
        Assert.NotEmpty(File.ReadAllLines(log));
        Curl("-X", "PUT", "http://localhost/logger", "-d", """{"level":"Off"}""");
        int before = File.ReadAllLines(log).Length;
        Curl("http://localhost/");
        Assert.Equal(before, File.ReadAllLines(log).Length);
    }

    [Fact]
    public void A_socket_in_use_is_said_in_the_log_too()
    {
        string log = Path.Combine(_folder, "log");
        Listen();
        Run("--api-sock", SocketPath, "--log-path", log);
        Assert.Contains($"Failed to open the API socket at: {SocketPath}. Check that it is not already used.", File.ReadAllText(log), StringComparison.Ordinal);
    }

    private void Listen(params string[] arguments)
    {
        Process process = StartMonitor(["--api-sock", SocketPath, .. arguments]);
        var clock = Stopwatch.StartNew();
        while (!IsListening())
        {
            Assert.False(process.HasExited, "the monitor ended");
            Assert.True(clock.Elapsed < s_deadline, "no API socket");
            Thread.Yield();
        }
    }

    // The socket's file is there a moment before it takes clients.
    private bool IsListening()
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(SocketPath));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private (int Code, string Output) Run(params string[] arguments)
    {
        Process process = StartMonitor(arguments);
        string output = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        Assert.True(process.WaitForExit(s_deadline), "the monitor did not end");
        return (process.ExitCode, output);
    }

    private Process StartMonitor(string[] arguments)
    {
        Process process = Process.Start(new ProcessStartInfo(_name ?? Program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _processes.Add(process);
        return process;
    }

    private static string Program
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
            {
                folder = Path.GetDirectoryName(folder)!;
            }

            string program = Path.Combine(folder, "out", "bin", "hearth-vmm");
            Assert.True(File.Exists(program), "out/bin/hearth-vmm is missing: run ./build hearth-vmm");
            return program;
        }
    }

    private string Curl(params string[] arguments)
    {
        using Process curl = Process.Start(new ProcessStartInfo("curl", ["-sS", "--max-time", "60", "--unix-socket", SocketPath, .. arguments])
        {
            RedirectStandardOutput = true,
        })!;
        string output = curl.StandardOutput.ReadToEnd();
        curl.WaitForExit();
        Assert.Equal(0, curl.ExitCode);
        return output;
    }

    private Socket Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)s_deadline.TotalMilliseconds };
        socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
        return socket;
    }

    private static string ReceiveUntil(Socket socket, string end)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (!text.ToString().Contains(end, StringComparison.Ordinal))
        {
            int count = socket.Receive(buffer);
            if (count == 0)
            {
                break;
            }

            text.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return text.ToString();
    }
}
