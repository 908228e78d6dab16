using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Linux;
using Hearth.Linux.Native;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Building;

/// <summary>A build in a process of its own (<see cref="ImageBuilderProgram"/>), of which nothing is believed but that it has written to the files it was given.</summary>
internal sealed class BuilderProcess : IImageBuild
{
    // What Flattening reads of each at most.
    private const int MostUserBytes = 4 << 20;

    private readonly ControlChannel _channel;
    private readonly FileDescriptor _pidfd;
    private readonly int _pid;
    private readonly Thread _listener;

    // Guards sending.
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource[] _layers;
    private readonly TaskCompletionSource<BuilderMessage> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action<double> _onShare = static _ => { };
    private int _disposed;

    /// <param name="pid">A child.</param>
    /// <param name="channel">Owned.</param>
    /// <param name="layers">How many the image has.</param>
    /// <param name="limits">What it may cost.</param>
    public BuilderProcess(int pid, ControlChannel channel, int layers, ImageLimits limits)
    {
        _pid = pid;
        _channel = channel;
        _pidfd = ChildProcess.OpenPidfd(pid);
        _layers = [.. Enumerable.Range(0, layers).Select(static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))];
        _listener = new Thread(Listen) { IsBackground = true, Name = "image builder" };
        _listener.Start();
        Send(new BuilderMessage(BuilderMessage.Begin, BuilderMessage.Text(layers), BuilderMessage.Text(limits.MaxBytes), BuilderMessage.Text(limits.MaxEntries), BuilderMessage.Text(limits.MaxXattrBytes)));
    }

    /// <summary>Its process.</summary>
    public int Pid => _pid;

    public async Task AddLayerAsync(int layer, string path, Digest diffId, CancellationToken cancellation)
    {
        using (FileDescriptor blob = FileDescriptor.Open(path, Fcntl.O_RDONLY))
        {
            Send(new BuilderMessage(BuilderMessage.Layer, BuilderMessage.Text(layer), diffId.ToString()), blob);
        }

        await Task.WhenAny(_layers[layer].Task, _done.Task).WaitAsync(cancellation).ConfigureAwait(false);
        // A failure is the whole image's.
        await (_layers[layer].Task.IsCompleted ? _layers[layer].Task : _done.Task).ConfigureAwait(false);
    }

    public async Task<FlattenedImage> WriteAsync(Digest identity, string path, Action<double> onShare, CancellationToken cancellation)
    {
        _onShare = onShare;
        string usersPath = $"{path}.users";
        using SafeFileHandle users = File.OpenHandle(usersPath, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        File.Delete(usersPath);
        using (FileDescriptor image = FileDescriptor.Open(path, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_EXCL, 0x1a4))
        {
            Send(new BuilderMessage(BuilderMessage.Image, identity.ToString()), image);
        }

        using (var lent = new FileDescriptor((int)users.DangerousGetHandle(), ownsHandle: false))
        {
            Send(new BuilderMessage(BuilderMessage.Users), lent);
        }

        BuilderMessage done = await _done.Task.WaitAsync(cancellation).ConfigureAwait(false);
        byte[] passwd = new byte[done.Number(1, MostUserBytes)];
        byte[] group = new byte[done.Number(2, MostUserBytes)];
        return RandomAccess.Read(users, passwd, 0) == passwd.Length && RandomAccess.Read(users, group, passwd.Length) == group.Length
            ? new FlattenedImage((int)done.Number(0, int.MaxValue), passwd, group)
            : throw new HearthException("The process that reads the image has written less than it says.");
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        ChildProcess.Signal(_pidfd, Signals.SIGKILL);
        await Task.Run(() =>
        {
            // With it the channel's other end is closed.
            ChildProcess.Reap(_pid);
            _listener.Join();
        }).ConfigureAwait(false);
        _channel.Dispose();
        _pidfd.Dispose();
        // Seen, if nobody waited for it.
        _ = _done.Task.Exception;
    }

    private void Send(BuilderMessage message, FileDescriptor? descriptor = null)
    {
        lock (_lock)
        {
            try
            {
                message.Send(_channel, descriptor);
            }
            catch (HearthException)
            {
                throw Ended();
            }
        }
    }

    private static ImageException Ended() =>
        new("The process that reads the image ended without a word. If its layers are not hostile, it is a defect of Hearth's, or the host lacks memory (dmesg).");

    private void Listen()
    {
        byte[] buffer = new byte[ControlChannel.MaxMessage];
        try
        {
            while (BuilderMessage.Receive(_channel, buffer, out FileDescriptor? descriptor) is { } message)
            {
                descriptor?.Dispose();
                Hear(message);
            }

            _done.TrySetException(Ended());
        }
        catch (Exception e)
        {
            _done.TrySetException(e);
        }
    }

    private void Hear(BuilderMessage message)
    {
        const double thousandths = 1000;
        switch (message.Word)
        {
            case BuilderMessage.Layer:
                _layers[message.Number(0, _layers.Length - 1)].TrySetResult();
                break;
            case BuilderMessage.Share:
                _onShare(message.Number(0, (long)thousandths) / thousandths);
                break;
            case BuilderMessage.Done:
                _done.TrySetResult(message);
                break;
            case BuilderMessage.Failed:
                ImageFault fault = message.Fields is [var name, ..] && Enum.TryParse(name, out ImageFault known) && Enum.IsDefined(known) ? known : ImageFault.Other;
                string text = message.Fields is [_, var said, ..] ? string.Concat(said.Where(static c => !char.IsControl(c))) : "it did not say why.";
                _done.TrySetException(new ImageException(fault, text));
                break;
            default:
                throw new HearthException("The process that reads the image said what it is not asked.");
        }
    }
}
