using System.Runtime.Serialization;
using Microsoft.Data.Sqlite;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Serialization;

namespace Vmm.Actors.Journals;

/// <summary>
/// Events in a file: an SQLite database whose table <c>journal</c> has a row for each event, numbered from 1 without a gap. The layout is
/// that of Akka.Persistence.Sql, which wrote it in earlier versions. One thread at a time.
/// <para>
/// An appended event outlives a kill of the process and a loss of power: when <see cref="Append"/> returns, the transaction is on the disk,
/// and so is the entry of the file in its folder (<c>synchronous=EXTRA</c>).
/// </para>
/// </summary>
internal sealed class EventFile : IDisposable
{
    // The identifier of the serializer that has written the rows.
    private const int SerializerId = 7001;

    // A program that looks into the file holds a lock for a moment. That long a write waits.
    private const int LockedSeconds = 2;

    private const string Schema =
        """
        CREATE TABLE journal (
            ordering INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, created INTEGER NOT NULL, deleted Bit NOT NULL,
            persistence_id NVarChar(255) NOT NULL, sequence_number INTEGER NOT NULL, message VarBinary NOT NULL,
            manifest NVarChar(500) NULL, identifier INTEGER NULL, writer_uuid NVarChar(128) NULL);
        CREATE UNIQUE INDEX journal_uq ON journal (persistence_id, sequence_number);
        """;

    private static readonly string[] s_columns =
        ["ordering", "created", "deleted", "persistence_id", "sequence_number", "message", "manifest", "identifier", "writer_uuid"];

    private readonly string _path;
    private readonly string _id;
    private readonly string _without;
    private SqliteConnection? _connection;
    private long _last;

    private EventFile(string path, string id, string without) => (_path, _id, _without) = (path, id, without);

    /// <summary>Opens the file, or makes a new one, reads all of it, and tries a write.</summary>
    /// <param name="id">Whose events they are: a name in the table, whose layout allows for more than one.</param>
    /// <param name="without">What happens without the file, for the message that it is damaged.</param>
    /// <param name="take">Takes each event, in order; false for one that cannot be.</param>
    /// <exception cref="JournalException">The file is no journal, is damaged, or cannot be written.</exception>
    public static EventFile Open(string path, string id, string without, Predicate<IProtocolMessage> take)
    {
        var journal = new EventFile(path, id, without);
        try
        {
            journal.Check();
            journal.Read(take);

            // The version of the layout. Writing it each time shows that the file can be written.
            journal.Execute("PRAGMA user_version = 1");
            return journal;
        }
        catch (SqliteException e)
        {
            journal.Dispose();
            throw new JournalException($"the journal '{path}' cannot be used: {Reason(e)}", e);
        }
        catch
        {
            journal.Dispose();
            throw;
        }
    }

    /// <summary>Adds events: all of them or none. They are kept when the method returns.</summary>
    /// <exception cref="JournalException">Nothing could be written.</exception>
    public void Append(IReadOnlyList<IProtocolMessage> events)
    {
        try
        {
            Insert(events);
        }
        catch (SqliteException e)
        {
            // The connection is closed, and its unfinished transaction with it.
            Dispose();
            if (!IsThere(events.Count))
            {
                throw new JournalException($"the change cannot be written to '{_path}': {Reason(e)}", e);
            }
        }

        _last += events.Count;
    }

    public void Dispose()
    {
        _connection?.Dispose();
        _connection = null;
    }

    // Whether the events are in the file although the write failed: the failure may come after the commit, such as when the folder is
    // written.
    private bool IsThere(int events)
    {
        try
        {
            return Convert.ToInt64(Query($"SELECT max(sequence_number) FROM journal WHERE persistence_id = '{_id}'"), null) == _last
                + events;
        }
        catch (SqliteException)
        {
            return false;
        }
        catch (InvalidCastException)
        {
            // The table has no row.
            return false;
        }
    }

    private void Insert(IReadOnlyList<IProtocolMessage> events)
    {
        using SqliteTransaction transaction = Connection().BeginTransaction();
        using SqliteCommand insert = _connection!.CreateCommand();
        insert.Transaction = transaction;

        // Rows of an append that failed are removed: whoever asked for them was told that they are not kept.
        insert.CommandText = $"DELETE FROM journal WHERE persistence_id = '{_id}' AND sequence_number > @number";
        insert.Parameters.AddWithValue("@number", _last);
        insert.ExecuteNonQuery();
        insert.CommandText =
            $"""
            INSERT INTO journal (created, deleted, persistence_id, sequence_number, message, manifest, identifier)
            VALUES (@created, 0, '{_id}', @number, @message, @manifest, {SerializerId})
            """;
        SqliteParameter created = insert.Parameters.AddWithValue("@created", 0L);
        SqliteParameter message = insert.Parameters.AddWithValue("@message", Array.Empty<byte>());
        SqliteParameter manifest = insert.Parameters.AddWithValue("@manifest", "");
        for (int i = 0; i < events.Count; i++)
        {
            insert.Parameters["@number"].Value = _last + i + 1;
            created.Value = DateTime.UtcNow.Ticks;
            message.Value = ProtocolSerializer.Encode(events[i]);
            manifest.Value = ProtocolSerializer.ManifestOf(events[i]);
            insert.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    private void Check()
    {
        if (Query("PRAGMA quick_check(1)") is not "ok" and var damage)
        {
            throw Damaged($"{damage}".Split('\n')[^1]);
        }

        string[] tables = List("SELECT name FROM sqlite_master WHERE type = 'table'");
        if (tables.Length == 0)
        {
            Execute($"BEGIN IMMEDIATE; {Schema} COMMIT");
        }
        else if (!tables.Contains("journal"))
        {
            throw new JournalException($"'{_path}' is a database of something else: it has no table 'journal'");
        }
        else if (s_columns.Except(List("SELECT name FROM pragma_table_info('journal')")).FirstOrDefault() is { } missing)
        {
            throw new JournalException($"'{_path}' is a database of something else: its table 'journal' has no column '{missing}'");
        }
    }

    private void Read(Predicate<IProtocolMessage> take)
    {
        using SqliteCommand select = Connection().CreateCommand();
        select.CommandText = "SELECT persistence_id, sequence_number, manifest, message FROM journal ORDER BY sequence_number";
        using SqliteDataReader rows = select.ExecuteReader();
        while (rows.Read())
        {
            if (rows.GetValue(0) is not string id || id != _id)
            {
                throw new JournalException(
                    $"'{_path}' is a database of something else: it has events of '{HotplugState.Legible($"{rows.GetValue(0)}")}'");
            }

            if (rows.GetValue(1) is not long number || number != _last + 1)
            {
                throw Damaged($"event {_last + 1} is missing");
            }

            Take(number, rows.GetValue(2) as string, rows.GetValue(3) as byte[], take);
            _last = number;
        }
    }

    private void Take(long number, string? manifest, byte[]? message, Predicate<IProtocolMessage> take)
    {
        try
        {
            if (!take(ProtocolSerializer.Decode(message ?? [], manifest ?? "")))
            {
                throw Damaged($"event {number} is none of {_id}");
            }
        }
        catch (Exception e) when (e is SerializationException or ArgumentException)
        {
            throw Damaged($"event {number} does not say what happened: {HotplugState.Legible(e.Message)}");
        }
    }

    private JournalException Damaged(string how) =>
        new($"the journal '{_path}' is damaged: {how}; without the file {_without}");

    private SqliteConnection Connection()
    {
        if (_connection == null)
        {
            var settings = new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false, DefaultTimeout = LockedSeconds };
            var connection = new SqliteConnection(settings.ConnectionString);
            try
            {
                connection.Open();
                using SqliteCommand durable = connection.CreateCommand();
                durable.CommandText = "PRAGMA synchronous = EXTRA";
                durable.ExecuteNonQuery();
            }
            catch
            {
                connection.Dispose();
                throw;
            }

            _connection = connection;
        }

        return _connection;
    }

    private void Execute(string sql)
    {
        using SqliteCommand command = Connection().CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private object? Query(string sql)
    {
        using SqliteCommand command = Connection().CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private string[] List(string sql)
    {
        using SqliteCommand command = Connection().CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader rows = command.ExecuteReader();
        var names = new List<string>();
        while (rows.Read())
        {
            names.Add(rows.GetString(0));
        }

        return [.. names];
    }

    // The text of the operating system in SQLite's message, as in "SQLite Error 13: 'database or disk is full'."
    private static string Reason(SqliteException e)
    {
        int start = e.Message.IndexOf('\'', StringComparison.Ordinal);
        int end = e.Message.LastIndexOf('\'');
        return start >= 0 && end > start ? e.Message[(start + 1)..end] : e.Message;
    }
}
