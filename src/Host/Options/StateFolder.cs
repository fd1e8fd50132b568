using Microsoft.Data.Sqlite;

namespace Vmm.Host.Options;

/// <summary><c>--state DIR</c>: what a machine keeps from one run to the next, the journal of its plugged CPUs. One process at a time has it.</summary>
public sealed class StateFolder : IDisposable
{
    private readonly FileStream _lock;

    private StateFolder(FileStream held, string journalFile)
    {
        _lock = held;
        JournalFile = journalFile;
    }

    public string JournalFile { get; }

    /// <summary>Makes the folder if there is none.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static StateFolder Open(string path)
    {
        FileStream held;
        try
        {
            Directory.CreateDirectory(path);
            held = new FileStream(Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException($"cannot keep the state in '{path}', or another VM does: {e.Message}");
        }

        string journal = Path.Combine(path, "hotplug.db");
        try
        {
            using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = journal, Pooling = false }.ConnectionString);
            connection.Open();
            using SqliteCommand check = connection.CreateCommand();
            check.CommandText = "PRAGMA schema_version";
            check.ExecuteScalar();
        }
        catch (SqliteException e)
        {
            held.Dispose();
            throw new OptionException($"'{journal}' is no journal: {e.Message}");
        }

        return new StateFolder(held, journal);
    }

    public void Dispose() => _lock.Dispose();
}
