namespace Vmm.Emulation.Migration;

/// <summary>Where pages of RAM are sent: the stream of the migration, or channels beside it. One thread at a time.</summary>
public interface IPageWriter
{
    /// <summary>Bytes of whole records. Any thread.</summary>
    long Written { get; }

    /// <summary>Adds a page to the record that is being filled. The guest may write it meanwhile: what is sent is this copy.</summary>
    /// <returns>Whether there is room for another.</returns>
    bool AddPage(ReadOnlySpan<byte> page);

    /// <summary>Completes the record of the pages that were added, if there are some.</summary>
    /// <param name="first">The number of the first one.</param>
    void CompletePages(long first);

    /// <summary>A pass ends: none of its pages takes the place of one of a later pass.</summary>
    /// <exception cref="IOException">The link is lost.</exception>
    void EndPass();
}
