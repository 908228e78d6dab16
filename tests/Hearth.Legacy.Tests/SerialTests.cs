namespace Hearth.Legacy.Tests;

public sealed class SerialTests
{
    private const int InputCapacity = 64;
    private const int OutputCapacity = 4096;

    private readonly UartDriver _driver = new();

    [Fact]
    public void Looks_like_a_16550A_to_the_probe_of_the_Linux_8250_driver()
    {
        // The interrupt enable register keeps its low four bits and nothing else.
        _driver.InterruptEnable = 0xff;
        Assert.Equal(0x0f, _driver.InterruptEnable);
        _driver.InterruptEnable = 0;
        Assert.Equal(0, _driver.InterruptEnable);

        // Looped back, RTS and OUT2 come out as CTS and carrier.
        byte modem = _driver.ModemControl;
        _driver.ModemControl = UartDriver.Loop | 0x0a;
        Assert.Equal(0x90, _driver.ModemStatus & 0xf0);
        _driver.ModemControl = modem;

        // A FIFO, not of 64 bytes: a 16550A and no 16750.
        _driver.LineControl = 0;
        _driver.FifoControl = UartDriver.FifoEnable;
        Assert.Equal(3, _driver.InterruptId >> 6);
        _driver.LineControl = 0x80;
        _driver.FifoControl = UartDriver.FifoEnable | 0x20;
        Assert.Equal(6, _driver.InterruptId >> 5);
        _driver.LineControl = 0;

        // No enhanced features register behind LCR = 0xbf that would make it a 16650 or 16850.
        _driver.LineControl = 0xbf;
        Assert.NotEqual(0, _driver.InterruptId);
        _driver.LineControl = 0;

        // No extended control register at LCR = 0xe0 that follows MCR: no NS16550 of the super-I/O kind.
        _driver.LineControl = 0xe0;
        byte before = _driver.InterruptId;
        _driver.LineControl = 0;
        _driver.ModemControl = (byte)(modem ^ UartDriver.Loop);
        _driver.LineControl = 0xe0;
        Assert.Equal(before, _driver.InterruptId);
        _driver.LineControl = 0;
        _driver.ModemControl = modem;

        // Nothing that reads as all ones, which would be an empty slot.
        Assert.NotEqual(0xff, _driver.LineStatus);
    }

    [Fact]
    public void Enabling_the_transmit_interrupt_raises_it_each_time()
    {
        // What the driver's start-up looks for; a port that fails it is polled with a timer.
        for (int round = 0; round < 2; round++)
        {
            int edges = _driver.Line.Edges;
            _driver.InterruptEnable = UartDriver.InterruptTransmitEmpty;
            Assert.Equal(edges + 1, _driver.Line.Edges);
            Assert.Equal(UartDriver.TransmitEmptyInterrupt, _driver.InterruptId);
            Assert.Equal(UartDriver.NoInterrupt, _driver.InterruptId);
            _driver.InterruptEnable = 0;
        }
    }

    [Fact]
    public void Sixteen_bytes_written_in_one_handler_raise_one_edge()
    {
        _driver.InterruptEnable = UartDriver.InterruptTransmitEmpty;
        Assert.Equal(UartDriver.TransmitEmptyInterrupt, _driver.InterruptId);
        int edges = _driver.Line.Edges;

        _driver.Send("0123456789abcdef"u8);

        Assert.Equal(edges + 1, _driver.Line.Edges);
        Assert.Equal(UartDriver.TransmitEmptyInterrupt, _driver.InterruptId);
    }

    [Fact]
    public void A_received_byte_comes_before_an_empty_transmitter()
    {
        _driver.InterruptEnable = UartDriver.InterruptReceived | UartDriver.InterruptTransmitEmpty;
        _driver.Port.EnqueueInput("x"u8);

        Assert.Equal(UartDriver.ReceivedInterrupt, _driver.InterruptId);
        Assert.Equal(UartDriver.ReceivedInterrupt, _driver.InterruptId);
        Assert.Equal((byte)'x', _driver.Data);
        Assert.Equal(UartDriver.TransmitEmptyInterrupt, _driver.InterruptId);
        Assert.Equal(UartDriver.NoInterrupt, _driver.InterruptId);
    }

    [Fact]
    public void Input_that_came_before_the_driver_is_announced_when_it_asks()
    {
        _driver.Port.EnqueueInput("early"u8);
        Assert.Equal(0, _driver.Line.Edges);

        _driver.InterruptEnable = UartDriver.InterruptReceived;

        Assert.Equal(1, _driver.Line.Edges);
        Assert.Equal("early"u8.ToArray(), _driver.Receive());
    }

    [Fact]
    public void Output_waits_for_a_newline_and_asks_for_a_flush_meanwhile()
    {
        _driver.Send("login: "u8);
        Assert.Equal("", _driver.Output.Text);
        Assert.True(_driver.Output.FlushesAsked > 0);

        _driver.Port.Flush();
        Assert.Equal("login: ", _driver.Output.Text);

        _driver.Send("root\n"u8);
        Assert.Equal("login: root\n", _driver.Output.Text);
        Assert.Equal(2, _driver.Output.Writes);
    }

    [Fact]
    public void Output_that_nobody_takes_makes_the_transmitter_full_and_then_empty_again()
    {
        _driver.Output.Room = 0;
        byte[] sent = new byte[OutputCapacity];
        Random.Shared.NextBytes(sent);
        _driver.Send(sent);
        Assert.False(_driver.TransmitterEmpty);

        // The handler reads the identification, and would now wait for the interrupt.
        _driver.InterruptEnable = UartDriver.InterruptTransmitEmpty;
        while (_driver.InterruptId != UartDriver.NoInterrupt)
        {
        }

        int edges = _driver.Line.Edges;
        _driver.Data = 0x55;
        Assert.Equal(1, _driver.Port.Metrics.ErrorCount.Value);

        _driver.Output.Room = 100;
        _driver.Port.Flush();
        Assert.True(_driver.TransmitterEmpty);
        Assert.Equal(edges + 1, _driver.Line.Edges);

        _driver.Output.Room = int.MaxValue;
        _driver.Port.Flush();
        Assert.Equal(sent, _driver.Output.Taken);
    }

    [Fact]
    public void Input_beyond_the_FIFO_is_refused_and_asked_for_again()
    {
        int asked = 0;
        _driver.Port.InputSpaceFreed = () => asked++;
        byte[] input = new byte[InputCapacity + 10];
        Random.Shared.NextBytes(input);

        Assert.Equal(InputCapacity, _driver.Port.EnqueueInput(input));
        Assert.Equal(0, asked);
        byte[] received = _driver.Receive();

        Assert.Equal(1, asked);
        Assert.Equal(input[..InputCapacity], received);
        Assert.Equal(10, _driver.Port.EnqueueInput(input.AsSpan(InputCapacity)));
        Assert.Equal(input[InputCapacity..], _driver.Receive());
    }

    [Fact]
    public void Clearing_the_FIFO_asks_for_input_that_was_refused()
    {
        int asked = 0;
        _driver.Port.InputSpaceFreed = () => asked++;
        _driver.Port.EnqueueInput(new byte[InputCapacity + 1]);

        _driver.FifoControl = UartDriver.FifoEnable | UartDriver.FifoClearReceived;

        Assert.Equal(1, asked);
        Assert.False(_driver.DataReady);
    }

    [Fact]
    public void Leaving_loopback_asks_for_input_that_was_refused()
    {
        int asked = 0;
        _driver.Port.InputSpaceFreed = () => asked++;
        _driver.ModemControl = UartDriver.Loop;
        Assert.Equal(0, _driver.Port.EnqueueInput("typed ahead"u8));
        Assert.Equal(0, asked);

        _driver.ModemControl = 0x08;

        Assert.Equal(1, asked);
        Assert.Equal(11, _driver.Port.EnqueueInput("typed ahead"u8));
    }

    [Fact]
    public void Loopback_reaches_the_receiver_and_not_the_console()
    {
        _driver.ModemControl = UartDriver.Loop;
        byte[] sent = new byte[InputCapacity + 5];
        Random.Shared.NextBytes(sent);

        _driver.Send(sent);

        Assert.Equal(sent[..InputCapacity], _driver.Receive());
        Assert.Equal(5, _driver.Port.Metrics.ErrorCount.Value);
        _driver.Port.Flush();
        Assert.Empty(_driver.Output.Taken);
    }

    [Fact]
    public void The_divisor_hides_behind_its_latch_and_the_scratch_register_keeps_what_it_is_given()
    {
        _driver.LineControl = 0x83;
        _driver.Write(0, 0x34);
        _driver.Write(1, 0x12);
        Assert.Equal(0x34, _driver.Read(0));
        Assert.Equal(0x12, _driver.Read(1));
        _driver.LineControl = 0x03;
        Assert.Equal(0, _driver.InterruptEnable);
        Assert.False(_driver.DataReady);

        _driver.Write(7, 0xa5);
        Assert.Equal(0xa5, _driver.Read(7));
    }

    [Fact]
    public void A_restored_port_goes_on_where_the_saved_one_stopped()
    {
        _driver.LineControl = 0x93;
        _driver.Write(0, 0x01);
        _driver.Write(1, 0x02);
        _driver.LineControl = 0x13;
        _driver.Write(7, 0x5a);
        _driver.ModemControl = 0x0b;
        _driver.InterruptEnable = UartDriver.InterruptReceived;
        _driver.Port.EnqueueInput("unread"u8);
        SerialState state = _driver.Port.Save();

        var other = new UartDriver();
        other.Port.Restore(state);

        Assert.Equivalent(state, other.Port.Save(), strict: true);
        // The edge of the saved port went to another machine.
        Assert.Equal(1, other.Line.Edges);
        Assert.Equal(UartDriver.ReceivedInterrupt, other.InterruptId);
        Assert.Equal("unread"u8.ToArray(), other.Receive());
        Assert.Equal(0x0b, other.ModemControl);
        Assert.Equal(0x13, other.LineControl);
        Assert.Equal(0x5a, other.Read(7));
    }

    [Fact]
    public void A_saved_state_with_more_input_than_fits_is_refused()
    {
        SerialState state = _driver.Port.Save() with { Input = new byte[InputCapacity + 1] };

        Assert.Throws<Linux.HearthException>(() => _driver.Port.Restore(state));
    }

    [Fact]
    public void Accesses_of_other_sizes_and_registers_are_counted_and_harmless()
    {
        Span<byte> wide = stackalloc byte[4];
        wide.Fill(0xff);
        _driver.Port.Read(0, wide);
        Assert.Equal(new byte[4], wide.ToArray());
        _driver.Port.Write(0, wide);
        _driver.Port.Read(9, wide[..1]);
        _driver.Port.Write(9, wide[..1]);

        Assert.Equal(2, _driver.Port.Metrics.MissedReadCount.Value);
        Assert.Equal(2, _driver.Port.Metrics.MissedWriteCount.Value);
        _driver.Port.Flush();
        Assert.Empty(_driver.Output.Taken);
    }

    [Fact]
    public void Each_counter_counts_what_its_name_says()
    {
        _driver.Send("ab\n"u8);
        _driver.Port.EnqueueInput("cd"u8);
        _driver.Receive();

        Assert.Equal(3, _driver.Port.Metrics.WriteCount.Value);
        Assert.Equal(2, _driver.Port.Metrics.ReadCount.Value);
        Assert.Equal(1, _driver.Port.Metrics.FlushCount.Value);
        Assert.Equal(
            ["error_count", "flush_count", "missed_read_count", "missed_write_count", "read_count", "write_count"],
            _driver.Port.Metrics.Metrics.Select(metric => metric.Name));
    }

    [Fact]
    public void A_byte_out_allocates_nothing()
    {
        var port = new Serial(new Testing.RecordingInterruptLine(), new NoOutput());
        byte[] value = [(byte)'x'];
        port.Write(0, value);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
        {
            port.Write(0, value);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private sealed class NoOutput : ISerialOutput
    {
        public int Write(ReadOnlySpan<byte> data) => data.Length;

        public void FlushSoon()
        {
        }
    }
}
