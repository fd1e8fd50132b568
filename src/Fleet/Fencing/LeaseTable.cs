using Npgsql;
using NpgsqlTypes;

namespace Vmm.Fleet.Fencing;

/// <summary>The lease of a node, as it stands in the database.</summary>
/// <param name="Place">The folder of the node and the machine that has it.</param>
/// <param name="Run">The run of the node that holds it: no other renews it.</param>
/// <param name="Renewals">Counts up with each renewal, over all runs.</param>
/// <param name="IsFenced">The lease has ended, and VMs of the node may be started elsewhere.</param>
internal sealed record LeaseRow(string Node, string Place, Guid Run, long Renewals, bool IsFenced);

/// <summary>Who makes the cluster, or made it last.</summary>
/// <param name="Address">Where it listens for the other nodes.</param>
/// <param name="Run">The run of the node.</param>
/// <param name="IsDone">It is a member of the cluster that it has made.</param>
internal sealed record FoundingRow(string Node, string Address, Guid Run, bool IsDone);

/// <summary>
/// The leases of all nodes in PostgreSQL, and who makes the cluster. It has no times: nobody compares clocks of two machines. Each change
/// is one statement that says what it expects, so of two that exclude each other one alone is made. Any thread; calls wait for the
/// database.
/// </summary>
internal sealed class LeaseTable : IDisposable
{
    // What a call waits for at most: a lease is renewed several times before it ends.
    private const int Seconds = 5;

    private readonly NpgsqlDataSource _database;

    public LeaseTable(string connection) => _database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection)
    {
        // Connections of its own: the journal may use all of the others.
        ApplicationName = "vmm lease",
        MaxPoolSize = 4,
        Timeout = Seconds,
        CommandTimeout = Seconds,
    });

    /// <summary>Makes the table, if there is none.</summary>
    /// <exception cref="NpgsqlException">The database does not answer, as for all others.</exception>
    public void Prepare() => Change(
        // Two that make it at once would have one of them fail: the lock is the transaction's.
        """
        DO $$ BEGIN
          PERFORM pg_advisory_xact_lock(hashtext('vmm_lease'));
          CREATE TABLE IF NOT EXISTS vmm_lease (
            node text PRIMARY KEY, place text NOT NULL, run uuid NOT NULL, renewals bigint NOT NULL, fenced boolean NOT NULL);
          CREATE TABLE IF NOT EXISTS vmm_founding (
            one boolean PRIMARY KEY DEFAULT true CHECK (one), node text NOT NULL, address text NOT NULL, run uuid NOT NULL,
            done boolean NOT NULL);
        END $$
        """);

    /// <summary>All leases.</summary>
    public IReadOnlyList<LeaseRow> Read()
    {
        using NpgsqlCommand command = _database.CreateCommand("SELECT node, place, run, renewals, fenced FROM vmm_lease");
        using NpgsqlDataReader reader = command.ExecuteReader();
        var rows = new List<LeaseRow>();
        while (reader.Read())
        {
            rows.Add(new LeaseRow(reader.GetString(0), reader.GetString(1), reader.GetGuid(2), reader.GetInt64(3), reader.GetBoolean(4)));
        }

        return rows;
    }

    /// <summary>Begins the lease of a node that had none.</summary>
    /// <returns>False: another run was first.</returns>
    public bool Begin(string node, string place, Guid run) => Change(
        "INSERT INTO vmm_lease VALUES ($1, $2, $3, 1, false) ON CONFLICT DO NOTHING", node, place, run) == 1;

    /// <summary>Takes the lease of a run before this one, fenced or not.</summary>
    /// <param name="old">As it was read.</param>
    /// <returns>False: it is another than that now.</returns>
    public bool Take(LeaseRow old, string place, Guid run) => Change(
        "UPDATE vmm_lease SET place = $1, run = $2, renewals = renewals + 1, fenced = false "
            + "WHERE node = $3 AND run = $4 AND renewals = $5 AND fenced = $6",
        place, run, old.Node, old.Run, old.Renewals, old.IsFenced) == 1;

    /// <summary>Renews the lease of a run.</summary>
    /// <returns>False: it is fenced, or another run has it.</returns>
    public bool Renew(string node, Guid run) => Change(
        "UPDATE vmm_lease SET renewals = renewals + 1 WHERE node = $1 AND run = $2 AND NOT fenced", node, run) == 1;

    /// <summary>Ends a lease that was not renewed since it was read.</summary>
    /// <returns>False: it was renewed, or another run has it.</returns>
    public bool Fence(LeaseRow row) => Change(
        "UPDATE vmm_lease SET fenced = true WHERE node = $1 AND run = $2 AND renewals = $3", row.Node, row.Run, row.Renewals) == 1;

    /// <summary>Who makes the cluster; null before the first.</summary>
    public FoundingRow? ReadFounding()
    {
        using NpgsqlCommand command = _database.CreateCommand("SELECT node, address, run, done FROM vmm_founding");
        using NpgsqlDataReader reader = command.ExecuteReader();
        return reader.Read() ? new FoundingRow(reader.GetString(0), reader.GetString(1), reader.GetGuid(2), reader.GetBoolean(3)) : null;
    }

    /// <summary>Begins to make the cluster.</summary>
    /// <param name="old">As it was read.</param>
    /// <returns>False: it is another than that now.</returns>
    public bool BeginFounding(FoundingRow? old, string node, string address, Guid run) => (old == null
        ? Change("INSERT INTO vmm_founding VALUES (true, $1, $2, $3, false) ON CONFLICT DO NOTHING", node, address, run)
        : Change(
            "UPDATE vmm_founding SET node = $1, address = $2, run = $3, done = false WHERE run = $4 AND done = $5",
            node, address, run, old.Run, old.IsDone)) == 1;

    /// <summary>The run is a member of the cluster that it has made.</summary>
    /// <returns>False: another run has begun to make one meanwhile.</returns>
    public bool EndFounding(Guid run) => Change("UPDATE vmm_founding SET done = true WHERE run = $1", run) == 1;

    public void Dispose() => _database.Dispose();

    private int Change(string statement, params object[] values)
    {
        using NpgsqlCommand command = _database.CreateCommand(statement);
        foreach (object value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value, NpgsqlDbType = TypeOf(value) });
        }

        return command.ExecuteNonQuery();
    }

    private static NpgsqlDbType TypeOf(object value) => value switch
    {
        Guid => NpgsqlDbType.Uuid,
        long => NpgsqlDbType.Bigint,
        bool => NpgsqlDbType.Boolean,
        _ => NpgsqlDbType.Text,
    };
}
