namespace Vmm.Actors.Journals;

/// <summary>A journal cannot be read or written. The message is one line that says why.</summary>
public sealed class JournalException(string message, Exception? cause = null) : Exception(message, cause);
