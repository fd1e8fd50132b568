using System.Runtime.Serialization;
using Microsoft.Data.Sqlite;
using Vmm.Actors.Protocol;
using Vmm.Actors.Serialization;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// A journal in a file: an SQLite database whose table <c>journal</c> has a row for each event, numbered from 1 without a gap. The layout
/// is that of Akka.Persistence.Sql, which wrote it in earlier versions.
/// <para>
/// An appended event outlives a kill of the process and a loss of power: when <see cref="Append"/> returns, the transaction is on the disk,
/// and so is the entry of the file in its folder (<c>synchronous=EXTRA</c>).
/// </para>
/// </summary>
public sealed class JournalFile : IHotplugJournal, IDisposable
{
    // The machine's name in the table, whose layout allows for more than one.
    private const string MachineId = "hotplug";

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
    private SqliteConnection? _connection;
    private long _last;

    private JournalFile(string path) => _path = path;

    public HotplugState State { get; private set; } = HotplugState.Empty;

    /// <summary>Opens the journal, or makes a new one, reads all of it, and tries a write.</summary>
    /// <exception cref="JournalException">The file is no journal, is damaged, or cannot be written.</exception>
    public static JournalFile Open(string path)
    {
        var journal = new JournalFile(path);
        try
        {
            journal.Check();
            journal.Read();

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

    public void Append(IReadOnlyList<IHotplugEvent> events)
    {
        HotplugState state = State.Apply(events);
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
        State = state;
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
            return Convert.ToInt64(Query($"SELECT max(sequence_number) FROM journal WHERE persistence_id = '{MachineId}'"), null) == _last
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

    private void Insert(IReadOnlyList<IHotplugEvent> events)
    {
        using SqliteTransaction transaction = Connection().BeginTransaction();
        using SqliteCommand insert = _connection!.CreateCommand();
        insert.Transaction = transaction;

        // Rows of an append that failed are removed: whoever asked for them was told that they are not kept.
        insert.CommandText = $"DELETE FROM journal WHERE persistence_id = '{MachineId}' AND sequence_number > @number";
        insert.Parameters.AddWithValue("@number", _last);
        insert.ExecuteNonQuery();
        insert.CommandText =
            $"""
            INSERT INTO journal (created, deleted, persistence_id, sequence_number, message, manifest, identifier)
            VALUES (@created, 0, '{MachineId}', @number, @message, @manifest, {SerializerId})
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

    private void Read()
    {
        using SqliteCommand select = Connection().CreateCommand();
        select.CommandText = "SELECT persistence_id, sequence_number, manifest, message FROM journal ORDER BY sequence_number";
        using SqliteDataReader rows = select.ExecuteReader();
        while (rows.Read())
        {
            if (rows.GetValue(0) is not MachineId)
            {
                throw new JournalException(
                    $"'{_path}' is a database of something else: it has events of '{HotplugState.Legible($"{rows.GetValue(0)}")}'");
            }

            if (rows.GetValue(1) is not long number || number != _last + 1)
            {
                throw Damaged($"event {_last + 1} is missing");
            }

            State = Apply(number, rows.GetValue(2) as string, rows.GetValue(3) as byte[]);
            _last = number;
        }
    }

    private HotplugState Apply(long number, string? manifest, byte[]? message)
    {
        try
        {
            return ProtocolSerializer.Decode(message ?? [], manifest ?? "") is IHotplugEvent { Cpu: >= 0 } e
                ? State.Apply(e)
                : throw Damaged($"event {number} is none of a CPU");
        }
        catch (Exception e) when (e is SerializationException or ArgumentException)
        {
            throw Damaged($"event {number} does not say what happened: {HotplugState.Legible(e.Message)}");
        }
    }

    private JournalException Damaged(string how) =>
        new($"the journal '{_path}' is damaged: {how}; without the file the machine starts as its options say");

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
