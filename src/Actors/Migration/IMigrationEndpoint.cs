using Microsoft.Win32.SafeHandles;

namespace Vmm.Actors.Migration;

/// <summary>The place at the other end of a migration, of which each kind of address has a class.</summary>
public interface IMigrationEndpoint
{
    /// <summary>
    /// Bytes flow both ways, so the two sides can agree on who owns the guest. A file and the pipes of a command have one way.
    /// </summary>
    bool HasReturnPath { get; }

    /// <summary>A receiver can be connected to several times, as multifd does.</summary>
    bool TakesChannels { get; }

    /// <summary>The file, which is read and written at any offset; null where bytes only flow.</summary>
    IMigrationFile? File { get; }

    /// <summary>Connects as the sender.</summary>
    /// <exception cref="IOException">It cannot: one line that says why.</exception>
    Task<Stream> ConnectAsync(CancellationToken stop);

    /// <summary>Opens the receiver's end.</summary>
    /// <exception cref="IOException">It cannot: one line that says why.</exception>
    IMigrationListener Listen();
}

/// <summary>The file of a migration.</summary>
public interface IMigrationFile
{
    string Path { get; }

    /// <summary>Where the migration begins, in bytes. What is before belongs to somebody else.</summary>
    long Offset { get; }

    /// <summary>Opens the file to write it, or makes it. It ends at the offset, and nobody else writes it or maps it.</summary>
    /// <exception cref="IOException">It cannot: one line that says why.</exception>
    SafeFileHandle Create();

    /// <summary>Opens the file to read it. As long as it is open, no other program of ours writes it.</summary>
    /// <exception cref="IOException">It cannot: one line that says why.</exception>
    SafeFileHandle Open();
}

/// <summary>Somebody has connected who is no sender, and is not let in.</summary>
/// <param name="message">Why not: one line.</param>
public sealed class StrangerException(string message) : IOException(message);

/// <summary>The open end of a receiver. Disposed of, nobody can connect any more; streams that it has given stay open.</summary>
public interface IMigrationListener : IAsyncDisposable
{
    /// <summary>The address for the sender, such as tcp:127.0.0.1:4444 with the port that was chosen.</summary>
    string Address { get; }

    /// <summary>The next sender that connects.</summary>
    /// <exception cref="StrangerException">Whoever connected is not let in. Another one can connect.</exception>
    /// <exception cref="IOException">Nobody can connect any more.</exception>
    Task<Stream> AcceptAsync(CancellationToken stop);
}

/// <summary>Makes endpoints of addresses. The program that owns the VM gives it (<c>VmOptions.Migration</c>).</summary>
public interface IMigrationTransport
{
    /// <summary>The endpoint of an address in QEMU's form.</summary>
    /// <param name="uri">tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N.</param>
    /// <param name="tlsCreds">The id of an object with TLS credentials; empty for none.</param>
    /// <param name="tlsHostname">The name that the receiver's certificate must have; empty for the host of the address.</param>
    /// <param name="tlsAuthz">The id of an object that says which certificates a receiver lets in; empty for all that it verifies.</param>
    /// <exception cref="FormatException">There is no such address or object: one line that says what would be right.</exception>
    IMigrationEndpoint Parse(string uri, string tlsCreds, string tlsHostname, string tlsAuthz = "");
}
