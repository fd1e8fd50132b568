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

/// <summary>Query: what the guest tells of its memory. Answer: <see cref="BalloonStatistics"/>.</summary>
public sealed record GetBalloonStatistics : IBalloonCommand;

/// <param name="Values">In the order of Emulation's BalloonStatistic; -1 for what the guest has not told.</param>
/// <param name="ToldAt">When the guest told them, in seconds since 1970; 0 for never.</param>
/// <param name="Interval">Seconds between two questions to the guest; 0 for none.</param>
public sealed record BalloonStatistics(long[] Values, long ToldAt, long Interval) : IProtocolMessage;

/// <summary>Ask the guest for its statistics again and again while it runs. Answer: <see cref="BalloonStatistics"/>.</summary>
/// <param name="Interval">As of <see cref="BalloonStatistics"/>.</param>
public sealed record PollBalloonStatistics(long Interval) : IBalloonCommand;
