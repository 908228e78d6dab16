using CsCheck;
using Hearth.Platform.Bus;
using Hearth.Testing;

namespace Hearth.Legacy.Tests;

/// <summary>Any sequence of accesses of any size: no exception, and what the rules say stays true.</summary>
public sealed class HostileAccessTests
{
    private static readonly Gen<(bool IsWrite, ulong Offset, byte[] Data)[]> s_accesses =
        Gen.Select(Gen.Bool, Gen.ULong[0, 9], Gen.OneOf(Gen.Byte.Array[1], Gen.Byte.Array[1, 8])).Array[0, 200];

    [Fact]
    public void Nothing_a_guest_does_to_the_serial_port_loses_order_or_stops_the_input()
    {
        s_accesses.Sample(accesses =>
        {
            var driver = new UartDriver();
            bool asked = false;
            driver.Port.InputSpaceFreed = () => asked = true;
            bool refused = driver.Port.EnqueueInput(new byte[80]) < 80;
            foreach ((bool isWrite, ulong offset, byte[] data) in accesses)
            {
                Access(driver.Port, isWrite, offset, data);
            }

            // However the guest left it, reading it empty in normal mode makes room, and the host hears of it.
            driver.LineControl = 0x03;
            driver.ModemControl = 0;
            driver.Receive();
            Assert.True(refused && asked);
            Assert.Equal(1, driver.Port.EnqueueInput("z"u8));
            Assert.Equal("z"u8.ToArray(), driver.Receive());

            // And a state it can save is one it takes back.
            SerialState state = driver.Port.Save();
            driver.Port.Restore(state);
            Assert.Equivalent(state, driver.Port.Save(), strict: true);
        });
    }

    [Fact]
    public void Nothing_a_guest_does_to_the_keyboard_controller_breaks_it()
    {
        s_accesses.Sample(accesses =>
        {
            var controller = new I8042(new RecordingInterruptLine(), static () => { });
            foreach ((bool isWrite, ulong offset, byte[] data) in accesses)
            {
                Access(controller, isWrite, offset, data);
                controller.TriggerCtrlAltDel();
            }

            I8042State state = controller.Save();
            Assert.InRange(state.Output.Length, 0, 16);
            controller.Restore(state);
            Assert.Equivalent(state, controller.Save(), strict: true);
        });
    }

    [Fact]
    public void Input_and_output_of_two_threads_keep_their_order()
    {
        var driver = new UartDriver();
        byte[] input = new byte[20_000];
        for (int i = 0; i < input.Length; i++)
        {
            input[i] = (byte)i;
        }

        var host = new Thread(() =>
        {
            for (int given = 0; given < input.Length;)
            {
                given += driver.Port.EnqueueInput(input.AsSpan(given));
                Thread.Yield();
            }
        });
        host.Start();
        var received = new List<byte>();
        var spinner = default(SpinWait);
        while (received.Count < input.Length)
        {
            byte[] some = driver.Receive();
            driver.Send(some);
            received.AddRange(some);
            spinner.SpinOnce();
        }

        host.Join();
        driver.Port.Flush();
        Assert.Equal(input, received);
        Assert.Equal(input, driver.Output.Taken);
    }

    private static void Access(IBusDevice device, bool isWrite, ulong offset, byte[] data)
    {
        if (isWrite)
        {
            device.Write(offset, data);
        }
        else
        {
            device.Read(offset, data);
        }
    }
}
