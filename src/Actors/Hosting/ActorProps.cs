using Akka.Actor;

namespace Vmm.Actors.Hosting;

/// <summary>
/// <see cref="Props"/> of an actor that a function makes. Akka's own, <c>Props.Create(() => new …)</c>, takes an expression tree, and
/// compiles it each time.
/// </summary>
public static class ActorProps
{
    /// <param name="make">Makes the actor: once at its start, and once more at each restart.</param>
    public static Props Of<TActor>(Func<TActor> make)
        where TActor : ActorBase => Props.CreateBy(new Producer(typeof(TActor), make));

    private sealed class Producer(Type type, Func<ActorBase> make) : IIndirectActorProducer
    {
        public Type ActorType => type;

        public ActorBase Produce() => make();

        public void Release(ActorBase actor)
        {
        }
    }
}
