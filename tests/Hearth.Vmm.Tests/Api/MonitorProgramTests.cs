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
            string answer = ReceiveUntil(eleventh, "}");
            Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
            Assert.EndsWith("{ \"error\": \"Too many open connections\" }", answer, StringComparison.Ordinal);
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
    [InlineData(153, "requires '--config-file'", "--no-api")]
    [InlineData(153, "Invalid instance ID", "--id", "a_b")]
    [InlineData(153, "was provided more than once", "--id", "a", "--id", "b")]
    [InlineData(153, "unknown variant", "--level", "loud")]
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

    [Theory]
    [InlineData("{", "line 1")]
    [InlineData("""{"drives":[]}""", "missing field `boot-source`")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/nonexistent"},"drives":[]}""", "boot-source: The kernel file cannot be opened")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"toaster":{}}""", "unknown field `toaster`")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"machine-config":{"vcpu_count":0,"mem_size_mib":1}}""", "machine-config: Machine config error")]
    [InlineData("""{"boot-source":{"kernel_image_path":"/dev/null"},"drives":[],"machine-config":{"vcpu_count":1,"mem_size_mib":99999999}}""", "more than the")]
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
        Listen("--log-path", log, "--level", "Debug", "--show-level");
        Assert.Contains("fault_message", Curl("-X", "PUT", "http://localhost/logger", "-d", """{"log_path":"/nonexistent/x"}"""), StringComparison.Ordinal);
        Assert.True(File.Exists(log));
    }

    private void Listen(params string[] arguments)
    {
        Process process = StartMonitor(["--api-sock", SocketPath, .. arguments]);
        var clock = Stopwatch.StartNew();
        while (!File.Exists(SocketPath))
        {
            Assert.False(process.HasExited, "the monitor ended");
            Assert.True(clock.Elapsed < s_deadline, "no API socket");
            Thread.Yield();
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
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        string program = Path.Combine(folder, "out", "bin", "hearth-vmm");
        Assert.True(File.Exists(program), "out/bin/hearth-vmm is missing: run ./build hearth-vmm");
        Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _processes.Add(process);
        return process;
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
