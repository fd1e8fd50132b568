using System.Text;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Migration;

/// <summary>Reads a migration stream. A length is held against its limit before anything is made of it. One thread at a time.</summary>
/// <param name="stream">Nobody else reads it; not closed.</param>
public sealed class MigrationReader(Stream stream)
{
    // Headers, and small records with them, are read many at once; large ones go past it.
    private readonly byte[] _ahead = new byte[64 << 10];
    private int _taken;
    private int _there;
    private readonly byte[] _header = new byte[MigrationRecord.HeaderSize];
    private MigrationRecord _record;
    private long _read;

    /// <summary>Bytes that were read. Any thread.</summary>
    public long Read => Volatile.Read(ref _read);

    /// <exception cref="MigrationException">It is no migration stream, or one of another version.</exception>
    /// <exception cref="IOException">It has ended, or the link is lost.</exception>
    public void ReadMagic()
    {
        ReadOnlySpan<byte> expected = MigrationWriter.Magic;
        Span<byte> magic = stackalloc byte[expected.Length];
        Fill(magic);
        if (MappedFile.Begins(magic))
        {
            throw new MigrationException("the file was saved with 'mapped-ram': turn that capability on before it is read");
        }

        if (!magic[..^1].SequenceEqual(expected[..^1]))
        {
            throw new MigrationException("this is no migration of Vmm: its first bytes are others");
        }

        if (magic[^1] != expected[^1])
        {
            throw new MigrationException($"the migration stream has the version {magic[^1]}, but this program reads {expected[^1]}");
        }
    }

    /// <summary>Reads the header of the next record. Its payload is to be read then.</summary>
    /// <exception cref="MigrationException">It is damaged.</exception>
    /// <exception cref="IOException">The stream has ended, or the link is lost.</exception>
    public MigrationRecord Next()
    {
        Fill(_header);
        _record = MigrationRecord.Read(_header);
        return _record;
    }

    /// <summary>Reads the next record, of which there is only one kind that can come, or else the reason of a refusal.</summary>
    /// <exception cref="MigrationException">The other side refuses, or the record is another.</exception>
    /// <exception cref="IOException">The stream has ended, or the link is lost.</exception>
    public MigrationRecord Expect(MigrationRecordKind kind)
    {
        MigrationRecord record = Next();
        if (record.Kind == MigrationRecordKind.Refused)
        {
            throw new MigrationException($"the receiver refuses: {ReadText()}");
        }

        return record.Kind == kind ? record
            : throw new MigrationException($"the migration stream has a record {record.Kind} in place of {kind}");
    }

    /// <summary>The reason that the other side gave before it closed the link, which is lost for writing; null if it gave none.</summary>
    public MigrationException? ReadRefusal()
    {
        try
        {
            Expect(MigrationRecordKind.Refused);
            return null;
        }
        catch (MigrationException e) when (_record.Kind == MigrationRecordKind.Refused)
        {
            return e;
        }
        catch (Exception e) when (e is IOException or MigrationException)
        {
            return null;
        }
    }

    /// <summary>Reads the payload of the record whose header was read last.</summary>
    /// <param name="payload">As long as it.</param>
    /// <exception cref="MigrationException">It is damaged.</exception>
    /// <exception cref="IOException">The stream has ended, or the link is lost.</exception>
    public void ReadPayload(Span<byte> payload)
    {
        Fill(payload);
        if (Crc32C.Of(payload) != _record.Checksum)
        {
            throw new MigrationException($"the migration stream is damaged: the checksum of a record {_record.Kind} is wrong");
        }
    }

    /// <inheritdoc cref="ReadPayload(Span{byte})"/>
    public byte[] ReadPayload()
    {
        // What a sender promises is not taken from memory before it comes.
        byte[] payload = new byte[Math.Min(_record.Length, MigrationRecord.LargestPages)];
        Fill(payload);
        for (int there = payload.Length; there < _record.Length; there = payload.Length)
        {
            Array.Resize(ref payload, (int)Math.Min(2L * there, _record.Length));
            Fill(payload.AsSpan(there));
        }

        return Crc32C.Of(payload) == _record.Checksum ? payload
            : throw new MigrationException($"the migration stream is damaged: the checksum of a record {_record.Kind} is wrong");
    }

    /// <summary>The payload as one line of text.</summary>
    /// <inheritdoc cref="ReadPayload(Span{byte})"/>
    public string ReadText() =>
        string.Concat(Encoding.UTF8.GetString(ReadPayload()).Select(c => char.IsControl(c) ? '?' : c));

    private void Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            if (_taken < _there)
            {
                ReadOnlySpan<byte> ahead = _ahead.AsSpan(_taken, Math.Min(_there - _taken, bytes.Length));
                ahead.CopyTo(bytes);
                _taken += ahead.Length;
                bytes = bytes[ahead.Length..];
            }
            else if (bytes.Length >= _ahead.Length)
            {
                bytes = bytes[ReadSome(bytes)..];
            }
            else
            {
                (_taken, _there) = (0, ReadSome(_ahead));
            }
        }
    }

    private int ReadSome(Span<byte> bytes)
    {
        int read = stream.Read(bytes);
        if (read == 0)
        {
            throw new EndOfStreamException("the migration stream ends too early");
        }

        Volatile.Write(ref _read, _read + read);
        return read;
    }
}
