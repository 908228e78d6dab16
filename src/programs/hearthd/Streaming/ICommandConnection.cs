namespace Hearth.Programs.Daemon.Streaming;

/// <summary>A client of exec or attach, whichever protocol it speaks.</summary>
internal interface ICommandConnection : IAsyncDisposable
{
    CommandStreams Streams { get; }

    /// <summary>Cancelled when the client is gone.</summary>
    CancellationToken Closed { get; }

    /// <summary>Tells how it ended, after all output, and closes.</summary>
    /// <param name="status">For the error stream: <see cref="CommandStatus"/>.</param>
    Task FinishAsync(byte[] status);
}
