using Akka.Actor;

namespace Vmm.Actors.Hosting;

/// <summary>
/// An actor whose behaviour is a list of handlers by type of message, of which the first that fits takes the message: as Akka's
/// <see cref="ReceiveActor"/>, but without expression trees. Those would be compiled while the VM starts, and again at the first use of
/// each behaviour, which is when the guest is waiting for it.
/// </summary>
public abstract class MessageActor : UntypedActor
{
    // The handlers of the behaviour that is being described: by the constructor, or by what Become was given.
    private List<Func<object, bool>> _described = [];

    private readonly UntypedReceive _initial;

    protected MessageActor()
    {
        List<Func<object, bool>> first = _described;
        _initial = message => Handle(first, message);
    }

    protected sealed override void OnReceive(object message) => _initial(message);

    /// <summary>Takes messages of a type. Called by the constructor, or by what <see cref="Become(Action)"/> was given.</summary>
    protected void Receive<T>(Action<T> handler) => _described.Add(message =>
    {
        if (message is not T received)
        {
            return false;
        }

        handler(received);
        return true;
    });

    /// <summary>Takes those messages of a type for which a condition holds.</summary>
    protected void Receive<T>(Predicate<T> condition, Action<T> handler) => _described.Add(message =>
    {
        if (message is not T received || !condition(received))
        {
            return false;
        }

        handler(received);
        return true;
    });

    /// <summary>Takes every message.</summary>
    protected void ReceiveAny(Action<object> handler) => Receive(handler);

    /// <summary>Replaces the behaviour by the handlers that <paramref name="describe"/> adds.</summary>
    protected void Become(Action describe)
    {
        var handlers = new List<Func<object, bool>>();
        _described = handlers;
        describe();
        Become((UntypedReceive)(message => Handle(handlers, message)));
    }

    private void Handle(List<Func<object, bool>> handlers, object message)
    {
        foreach (Func<object, bool> handler in handlers)
        {
            if (handler(message))
            {
                return;
            }
        }

        Unhandled(message);
    }
}
