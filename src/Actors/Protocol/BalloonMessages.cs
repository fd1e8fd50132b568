namespace Vmm.Actors.Protocol;

/// <summary>A command for the balloon. Answer: <see cref="BalloonSize"/>, or <see cref="VmCommandRejected"/> where there is none.</summary>
public interface IBalloonCommand : IProtocolMessage;

/// <summary>Ask the guest to do with so much RAM, or to take again what it has given up.</summary>
public sealed record SetBalloon(long Bytes) : IBalloonCommand;

/// <summary>Query: how much RAM the guest has now.</summary>
public sealed record GetBalloon : IBalloonCommand;

/// <param name="Bytes">RAM without what the guest has given up.</param>
public sealed record BalloonSize(long Bytes) : IProtocolMessage;

/// <summary>Published: the guest has given RAM up, or has taken some again.</summary>
/// <param name="Bytes">As of <see cref="BalloonSize"/>.</param>
public sealed record BalloonChanged(long Bytes) : IProtocolMessage;
