using Hearth.Testing;

namespace Hearth.Legacy.Tests;

public sealed class I8042Tests
{
    private const ulong Data = 0;
    private const ulong Command = 4;
    private const byte OutputFull = 0x01;
    private const byte Unlocked = 0x10;
    private const byte KeyboardInterrupt = 0x01;

    private readonly RecordingInterruptLine _line = new();
    private readonly I8042 _controller;
    private int _resets;

    public I8042Tests() => _controller = new I8042(_line, () => _resets++);

    [Fact]
    public void Answers_what_the_Linux_driver_probes_with()
    {
        // Flush, self test, read and write the control byte, then the keyboard's interrupt and its interface test.
        Assert.Equal(0, Status & OutputFull);
        Assert.NotEqual(0, Status & Unlocked);
        Write(Command, 0xaa);
        Assert.Equal(0x55, ReadAnswer());
        Write(Command, 0x20);
        byte control = ReadAnswer();
        Write(Command, 0x60);
        Write(Data, (byte)(control | KeyboardInterrupt));
        Write(Command, 0x20);
        Assert.Equal(control | KeyboardInterrupt, ReadAnswer());
        Write(Command, 0xab);
        Assert.Equal(0, ReadAnswer());
        Assert.Equal(0, Status & OutputFull);
    }

    [Fact]
    public void Has_no_mouse_and_does_not_take_its_commands_for_the_keyboards()
    {
        const int FromMouse = 0x20;
        Write(Command, 0xd3);
        Write(Data, 0x5a);
        Assert.Equal(0, Status & FromMouse);
        Assert.Equal(0x5a, ReadAnswer());
        Write(Command, 0xa9);
        Assert.NotEqual(0, ReadAnswer());
        Write(Command, 0xd4);
        Write(Data, 0xf2);
        Assert.Equal(0, Status & OutputFull);
    }

    [Theory]
    [InlineData(0xa7, 0xa8, 0x20)]
    [InlineData(0xad, 0xae, 0x10)]
    public void Turning_a_port_off_and_on_shows_in_the_control_byte(byte off, byte on, byte bit)
    {
        Write(Command, off);
        Write(Command, 0x20);
        Assert.Equal(bit, ReadAnswer() & bit);
        Write(Command, on);
        Write(Command, 0x20);
        Assert.Equal(0, ReadAnswer() & bit);
    }

    [Fact]
    public void Pulling_the_reset_line_resets_once()
    {
        Write(Command, 0xfe);

        Assert.Equal(1, _resets);
        Assert.Equal(1, _controller.Metrics.ResetCount.Value);
    }

    [Fact]
    public void Ctrl_Alt_Del_comes_a_code_and_an_interrupt_at_a_time()
    {
        EnableInterrupt();

        Assert.True(_controller.TriggerCtrlAltDel());

        byte[] expected = [0x14, 0x11, 0xe0, 0x71];
        for (int i = 0; i < expected.Length; i++)
        {
            // One edge a code, none after the last.
            Assert.Equal(i + 1, _line.Edges);
            Assert.Equal(expected[i], ReadAnswer());
        }

        Assert.Equal(expected.Length, _line.Edges);
        Assert.Equal(0, Status & OutputFull);
    }

    [Fact]
    public void Ctrl_Alt_Del_is_translated_for_a_driver_that_asked_for_it()
    {
        Write(Command, 0x60);
        Write(Data, 0x40);

        _controller.TriggerCtrlAltDel();

        byte[] codes = [ReadAnswer(), ReadAnswer(), ReadAnswer(), ReadAnswer()];
        Assert.Equal([0x1d, 0x38, 0xe0, 0x53], codes);
    }

    [Fact]
    public void Without_the_interrupt_enabled_none_comes()
    {
        _controller.TriggerCtrlAltDel();

        Assert.Equal(0, _line.Edges);
        Assert.NotEqual(0, Status & OutputFull);
    }

    [Fact]
    public void Keys_that_nobody_reads_are_refused_at_last()
    {
        int typed = 0;
        while (typed < 100 && _controller.TriggerCtrlAltDel())
        {
            typed++;
        }

        Assert.Equal(4, typed);
        Assert.Equal(1, _controller.Metrics.ErrorCount.Value);
    }

    [Fact]
    public void The_keyboard_acknowledges_and_identifies_itself()
    {
        EnableInterrupt();
        Write(Data, 0xf2);

        byte[] answer = [ReadAnswer(), ReadAnswer(), ReadAnswer()];
        Assert.Equal([0xfa, 0xab, 0x83], answer);
    }

    [Fact]
    public void A_restored_controller_goes_on_where_the_saved_one_stopped()
    {
        EnableInterrupt();
        _controller.TriggerCtrlAltDel();
        ReadAnswer();
        Write(Command, 0xd1);
        I8042State state = _controller.Save();

        var line = new RecordingInterruptLine();
        var other = new I8042(line, static () => { });
        other.Restore(state);

        Assert.Equivalent(state, other.Save(), strict: true);
        Assert.Equal([0x11, 0xe0, 0x71], state.Output);
        Assert.Equal(1, line.Edges);
    }

    [Fact]
    public void A_saved_state_with_more_codes_than_fit_is_refused()
    {
        I8042State state = _controller.Save() with { Output = new byte[17] };

        Assert.Throws<Linux.HearthException>(() => _controller.Restore(state));
    }

    [Fact]
    public void Accesses_of_other_sizes_and_registers_are_counted_and_harmless()
    {
        Span<byte> wide = stackalloc byte[2];
        _controller.Read(Data, wide);
        _controller.Write(Command, [0xfe, 0xfe]);
        _controller.Read(2, wide[..1]);
        _controller.Write(3, wide[..1]);

        Assert.Equal(0, _resets);
        Assert.Equal(2, _controller.Metrics.MissedReadCount.Value);
        Assert.Equal(2, _controller.Metrics.MissedWriteCount.Value);
    }

    private byte Status => Read(Command);

    private void EnableInterrupt()
    {
        Write(Command, 0x60);
        Write(Data, KeyboardInterrupt);
    }

    private byte ReadAnswer()
    {
        Assert.NotEqual(0, Status & OutputFull);
        return Read(Data);
    }

    private byte Read(ulong offset)
    {
        Span<byte> value = [0xee];
        _controller.Read(offset, value);
        return value[0];
    }

    private void Write(ulong offset, byte value) => _controller.Write(offset, [value]);
}
