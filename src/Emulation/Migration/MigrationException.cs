namespace Vmm.Emulation.Migration;

/// <summary>A stream of a migration is damaged, foreign, or says what the receiver cannot do: one line.</summary>
public sealed class MigrationException(string message, Exception? cause = null) : Exception(message, cause);
