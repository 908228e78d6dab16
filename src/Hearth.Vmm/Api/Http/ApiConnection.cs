using Hearth.Linux;
using Hearth.Vmm.Actions;

namespace Hearth.Vmm.Api.Http;

/// <summary>One client: reads its requests, runs them, sends the answers in order. Thread: the API loop's.</summary>
internal sealed class ApiConnection : IEventHandler, IDisposable
{
    // A client that asks and never reads is not asked on beyond this.
    private const int MaxUnsentBytes = 1 << 20;

    private readonly UnixStream _stream;
    private readonly EventLoop _loop;
    private readonly HttpParser _parser;
    private readonly Func<HttpRequest, VmmResponse> _handler;
    private readonly Action<ApiConnection> _closed;
    private readonly EventRegistration _registration;
    private readonly byte[] _received = new byte[4096];
    private byte[] _unsent = [];
    private bool _mayHaveMore;
    private bool _closing;
    private bool _disposed;

    public ApiConnection(UnixStream stream, EventLoop loop, HttpParser parser, Func<HttpRequest, VmmResponse> handler, Action<ApiConnection> closed)
    {
        _stream = stream;
        _loop = loop;
        _parser = parser;
        _handler = handler;
        _closed = closed;
        _registration = loop.Add(stream, EpollEvents.In, this);
    }

    public void OnReady(EpollEvents events)
    {
        if (_disposed)
        {
            return;
        }

        if (_unsent.Length > 0)
        {
            Flush();
            if (!_disposed && _unsent.Length == 0)
            {
                Answer();
            }
        }
        else
        {
            Receive();
        }
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _loop.Remove(_registration);
        _stream.Dispose();
    }

    private void Receive()
    {
        int count = _stream.Receive(_received);
        if (count == UnixStream.WouldBlock)
        {
            return;
        }

        if (count == UnixStream.Closed)
        {
            Close();
            return;
        }

        _parser.Append(_received.AsSpan(0, count));
        Answer();
    }

    // Answers the requests that are whole. Those that wait behind unsent answers get their turn when these are sent.
    private void Answer()
    {
        do
        {
            QueueAnswers();
            Flush();
        }
        while (!_disposed && _unsent.Length == 0 && _mayHaveMore);
    }

    private void QueueAnswers()
    {
        _mayHaveMore = true;
        try
        {
            while (!_closing && _unsent.Length < MaxUnsentBytes)
            {
                if (_parser.TryRead() is not { } request)
                {
                    _mayHaveMore = false;
                    break;
                }

                _closing = !request.KeepAlive;
                Queue(HttpResponse.From(_handler(request), request.KeepAlive));
            }

            if (_parser.ExpectsContinue)
            {
                _parser.ExpectsContinue = false;
                Queue(HttpResponse.Continue);
            }
        }
        catch (HttpFaultException fault)
        {
            _closing = !fault.IsRecoverable;
            Queue(HttpResponse.FromFault(fault));
        }
    }

    private void Queue(byte[] response) => _unsent = _unsent.Length == 0 ? response : [.. _unsent, .. response];

    private void Flush()
    {
        while (_unsent.Length > 0)
        {
            int sent = _stream.Send(_unsent);
            if (sent == UnixStream.Closed)
            {
                Close();
                return;
            }

            if (sent == UnixStream.WouldBlock)
            {
                _loop.Modify(_registration, EpollEvents.Out);
                return;
            }

            _unsent = _unsent[sent..];
        }

        if (_closing)
        {
            Close();
            return;
        }

        _loop.Modify(_registration, EpollEvents.In);
    }

    private void Close()
    {
        Dispose();
        _closed(this);
    }
}
