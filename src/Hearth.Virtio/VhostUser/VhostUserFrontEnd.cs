using System.Diagnostics;
using Hearth.Linux;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.VhostUser;

/// <summary>
/// A virtio device whose queues another process serves: the driver's doorbells, the interrupt and all of guest memory
/// are lent to it, and data does not pass through the monitor.
/// <para>A back end that dies, hangs or breaks the protocol is left: the monitor says so, asks the driver for a reset,
/// and answers its requests with errors until then. A driver that resets and starts the device again makes it connect
/// anew.</para>
/// <para>Thread: see <see cref="VirtioDevice"/>. Start, stop and the reading of the configuration wait for the back
/// end, <see cref="Patience"/> at most and holding the Gate; they run on a vCPU or the API thread. The event loop only
/// learns of its end, which such a wait notices too, so it never waits for one.</para>
/// </summary>
public abstract class VhostUserFrontEnd : VirtioDevice
{
    private readonly string _socket;
    private readonly ulong _offered;
    private readonly byte[] _config;
    private readonly List<EventRegistration> _kicks = [];
    private VhostUserConnection? _connection;
    private DeviceActivation? _activation;
    private EventRegistration? _end;

    /// <summary>Connects and negotiates. Waits for the back end: not for the event loop.</summary>
    /// <param name="metricsName">The key of its counters.</param>
    /// <param name="socket">Where the back end listens.</param>
    /// <param name="wanted">The features the device may have; those that the back end lacks are not offered.</param>
    /// <param name="queues">How many queues it has.</param>
    /// <param name="configBytes">How much configuration space the back end keeps; 0 where the device keeps its own.</param>
    /// <param name="patience">How long a back end may take for any one step.</param>
    /// <exception cref="HearthException">There is no back end, or it is none for this device.</exception>
    protected VhostUserFrontEnd(string metricsName, string socket, ulong wanted, int queues, int configBytes, TimeSpan patience)
    {
        _socket = socket;
        Metrics = new VhostUserMetrics(metricsName);
        _config = new byte[configBytes];
        Patience = patience;
        _connection = Connect(queues, out ulong features);
        _offered = features & wanted;
        if ((_offered & VirtioFeatures.Version1) == 0)
        {
            _connection.Dispose();
            throw new VhostUserException($"The vhost-user back end at \"{socket}\" does not speak virtio 1. A newer one does.");
        }
    }

    /// <summary>How long a back end may take for any one step where nobody says otherwise: with fifty machines that start at one time on one CPU, more than five seconds.</summary>
    public static TimeSpan DefaultPatience { get; } = TimeSpan.FromSeconds(30);

    public sealed override bool HasRemoteQueues => true;

    public sealed override ulong OfferedFeatures => _offered;

    public override VhostUserMetrics Metrics { get; }

    /// <summary>Where the back end listens.</summary>
    public string Socket => _socket;

    protected TimeSpan Patience { get; }

    /// <summary>The configuration space that the back end keeps, as last read. Under Gate.</summary>
    protected ReadOnlySpan<byte> BackEndConfig => _config;

    public override void WriteConfig(uint offset, ReadOnlySpan<byte> source) => Metrics.CfgFails.Increment();

    public sealed override void Activate(DeviceActivation activation)
    {
        try
        {
            if (_connection is null || _connection.HasHungUp)
            {
                Reconnect(activation);
            }

            VhostUserConnection connection = _connection!;
            connection.SetDeadline(Patience);
            connection.Configure(activation.Features, activation.Memory);
            for (int i = 0; i < activation.Queues.Length; i++)
            {
                StartQueue(connection, activation, i);
            }

            _end = activation.Loop.Add(connection.Descriptor, EpollEvents.ReadHangUp, new EndHandler(this));
            _activation = activation;
        }
        catch (HearthException)
        {
            Metrics.ActivateFails.Increment();
            Leave();
            throw;
        }
    }

    public sealed override void Reset()
    {
        if (_activation is not { } activation)
        {
            return;
        }

        if (_connection is not null)
        {
            try
            {
                StopQueues(_connection, activation, static (_, _) => { });
            }
            catch (VhostUserException e)
            {
                Metrics.BackEndLost.Increment();
                Warning?.Invoke($"{Type} {Id} was reset without its back end: {e.Message}");
                Leave();
            }
        }

        StopListening(activation.Loop);
        _activation = null;
    }

    public sealed override void OnSaving()
    {
        if (_activation is not { } activation || _connection is not { } connection)
        {
            return;
        }

        try
        {
            StopQueues(connection, activation, static (queue, next) => queue.Adopt(next));
            for (int i = 0; i < activation.Queues.Length; i++)
            {
                StartQueue(connection, activation, i);
            }
        }
        catch (VhostUserException e)
        {
            Lose(e.Message);
        }
    }

    /// <summary>Never: the doorbells are the back end's, and after its end this object listens to them itself.</summary>
    public sealed override void OnQueueNotified(int queueIndex) => Debug.Fail("The transport does not listen for a device with remote queues.");

    /// <summary>Answers a request with an error, as the device's kind has it, in place of a lost back end.</summary>
    /// <returns>How many bytes of it were written, from the start.</returns>
    protected abstract uint FailRequest(in DescriptorChain chain);

    /// <summary>Reads the configuration space again and tells the driver. Waits for the back end. Under Gate.</summary>
    /// <exception cref="HearthException">There is no back end that would say.</exception>
    protected void RefreshConfig()
    {
        if (_connection is not { } connection)
        {
            throw new VhostUserException($"The vhost-user back end at \"{_socket}\" is gone. Start it again, and have the guest reset {Type} {Id}.");
        }

        try
        {
            connection.SetDeadline(Patience);
            connection.ReadConfig(_config);
        }
        catch (VhostUserException e)
        {
            Lose(e.Message);
            throw;
        }

        NotifyConfigChanged();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Leave();
        }
    }

    private VhostUserConnection Connect(int queues, out ulong features)
    {
        UnixStream stream;
        try
        {
            stream = UnixStream.Connect(_socket);
        }
        catch (LinuxException e)
        {
            throw new VhostUserException($"There is no vhost-user back end at \"{_socket}\": {e.Reason}. Start it first.", e);
        }

        var connection = new VhostUserConnection(stream, _socket);
        try
        {
            connection.SetDeadline(Patience);
            features = connection.Negotiate(queues);
            if (_config.Length > 0)
            {
                connection.ReadConfig(_config);
            }

            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void Reconnect(DeviceActivation activation)
    {
        Leave();
        byte[] before = [.. _config];
        _connection = Connect(activation.Queues.Length, out ulong features);
        if ((activation.Features & ~features) != 0)
        {
            throw new VhostUserException(
                $"The vhost-user back end at \"{_socket}\" came back without features 0x{activation.Features & ~features:x}, which the driver uses. Start one like the first.");
        }

        if (!_config.AsSpan().SequenceEqual(before))
        {
            NotifyConfigChanged();
        }
    }

    private static void StartQueue(VhostUserConnection connection, DeviceActivation activation, int index)
    {
        Virtqueue queue = activation.Queues[index];
        if (queue.IsEnabled)
        {
            EventFd call = activation.Interrupt.QueueEvent(index)
                ?? throw new HearthException("This transport cannot lend its interrupt to a vhost-user back end. This is a defect of the monitor.");
            connection.StartQueue(index, queue.Save(), activation.Notifiers[index], call);
        }
    }

    private void StopQueues(VhostUserConnection connection, DeviceActivation activation, Action<Virtqueue, ushort> stopped)
    {
        connection.SetDeadline(Patience);
        for (int i = 0; i < activation.Queues.Length; i++)
        {
            if (activation.Queues[i].IsEnabled)
            {
                stopped(activation.Queues[i], connection.StopQueue(i));
            }
        }
    }

    private void OnEnd()
    {
        lock (Gate)
        {
            // The event may be of a connection that is gone already.
            if (_activation is not null && _connection is { HasHungUp: true })
            {
                Lose($"The vhost-user back end at \"{_socket}\" has gone.");
            }
        }
    }

    /// <summary>The device goes on without its back end: what it did not answer is answered with errors, now and from now on.</summary>
    private void Lose(string why)
    {
        Metrics.BackEndLost.Increment();
        Leave();
        if (_activation is not { } activation)
        {
            return;
        }

        Warning?.Invoke($"{why} The guest's requests to {Type} {Id} fail until the back end is there again and the guest resets the device.");
        NotifyNeedsReset();
        for (int i = 0; i < activation.Queues.Length; i++)
        {
            activation.Queues[i].AdoptOrphaned();
            _kicks.Add(activation.Loop.Add(activation.Notifiers[i], EpollEvents.In | EpollEvents.EdgeTriggered, new KickHandler(this, activation, i)));
            FailRequests(activation, i);
        }
    }

    private void FailRequests(DeviceActivation activation, int index)
    {
        Virtqueue queue = activation.Queues[index];
        int left = queue.Size;
        do
        {
            queue.DisableNotifications();
            while (left > 0 && queue.TryPop(out DescriptorChain chain))
            {
                left--;
                Metrics.FailedRequests.Increment();
                queue.AddUsed(chain.Head, FailRequest(chain));
            }

            queue.PublishUsed();
            if (queue.NeedsNotification())
            {
                activation.Interrupt.SignalQueue(index);
            }

            // Looking again counts too: a guest that adds only malformed chains must not hold the loop.
            if (--left <= 0)
            {
                activation.Notifiers[index].Signal();
                return;
            }
        }
        while (!queue.TryEnableNotifications());
    }

    private void OnKick(DeviceActivation activation, int index)
    {
        lock (Gate)
        {
            // Not for an event of an earlier life.
            if (ReferenceEquals(_activation, activation) && _connection is null)
            {
                FailRequests(activation, index);
            }
        }
    }

    /// <summary>Ends the session, if there is one.</summary>
    private void Leave()
    {
        if (_end is { } end)
        {
            _activation?.Loop.Remove(end);
            _end = null;
        }

        _connection?.Dispose();
        _connection = null;
    }

    private void StopListening(EventLoop loop)
    {
        foreach (EventRegistration kick in _kicks)
        {
            loop.Remove(kick);
        }

        _kicks.Clear();
        if (_end is { } end)
        {
            loop.Remove(end);
            _end = null;
        }
    }

    private sealed class EndHandler(VhostUserFrontEnd device) : IEventHandler
    {
        public void OnReady(EpollEvents events) => device.OnEnd();
    }

    private sealed class KickHandler(VhostUserFrontEnd device, DeviceActivation activation, int index) : IEventHandler
    {
        public void OnReady(EpollEvents events) => device.OnKick(activation, index);
    }
}
