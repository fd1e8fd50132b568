using System.Data.Common;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Persistence.Sql;
using Akka.Persistence.Sql.Config;
using LinqToDB;
using Microsoft.Data.Sqlite;

namespace Vmm.Fleet.Cluster;

/// <summary>Makes the actor system of a node: that of one alone, or of one of several.</summary>
internal static class NodeSystem
{
    private const string SystemName = "fleet";
    private const string DatabaseName = "records.db";

    // Names by which linq2db knows the databases.
    private const string Sqlite = "SQLite.MS", PostgreSql = "PostgreSQL.15";

    /// <summary>A node alone: its transport is in the process, and its records are in a file of its folder.</summary>
    /// <param name="more">Settings of Akka that come before ours.</param>
    public static ActorSystem Create(string name, string folder, Config more)
    {
        string database = $"Data Source={Path.Combine(folder, DatabaseName)}";
        LetReadersPass(database);
        DataOptions options = new DataOptions().UseConnectionString(Sqlite, database)
            .UseAfterConnectionOpened(WaitBriefly, (connection, _) =>
            {
                WaitBriefly(connection);
                return Task.CompletedTask;
            });
        Config all = more.WithFallback(
            $$"""
            akka.cluster.seed-nodes = ["akka.test://{{SystemName}}@{{name}}:1"]
            akka.remote.test {
              registry-key = "{{name}}-{{Guid.NewGuid():N}}"
              local-address = "test://{{SystemName}}@{{name}}:1"
            }
            """).WithFallback(Of(name, Sqlite, database));
        return ActorSystem.Create(SystemName, BootstrapSetup.Create().WithConfig(all).And(new DataOptionsSetup(options)));
    }

    /// <summary>A node of several, which has joined nobody yet.</summary>
    /// <inheritdoc cref="Create(string, string, Config)"/>
    public static ActorSystem Create(string name, ClusterConfig config, ClusterLinks links, Config more)
    {
        (string host, int port) = config.Own;
        Config all = more.WithFallback(
            $$"""
            akka.remote.dot-netty.tcp {
              hostname = "{{host}}"
              port = {{port}}
            }
            """).WithFallback(Resource("fleet-cluster.conf")).WithFallback(Of(name, PostgreSql, links.Database));
        return ActorSystem.Create(SystemName, BootstrapSetup.Create().WithConfig(all).And(links.Ssl));
    }

    /// <summary>The addresses of nodes, as Akka has them.</summary>
    public static IEnumerable<Address> Addresses(IEnumerable<(string Host, int Port)> nodes) =>
        nodes.Select(node => new Address("akka.ssl.tcp", SystemName, node.Host, node.Port));

    // With a write-ahead log those who only read do not wait for those who write (sqlite.org/wal.html); it stays so in the file.
    private static void LetReadersPass(string database)
    {
        try
        {
            using var connection = new SqliteConnection($"{database};Pooling=False");
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode=WAL";
            command.ExecuteNonQuery();
        }
        catch (SqliteException)
        {
            // The journal tells of a file that cannot be used.
        }
    }

    // Every transaction of Akka.Persistence.Sql locks the file as one that writes, those that only read, too. One that finds it locked
    // looks again after 1 ms and then at longer intervals (sqlite.org/pragma.html, busy_timeout). Otherwise Microsoft.Data.Sqlite lets a
    // thread of the pool sleep for 150 ms each time, and with all of them asleep the node answers nobody.
    private static void WaitBriefly(DbConnection connection)
    {
        using DbCommand command = connection.CreateCommand();
        command.CommandText = "PRAGMA busy_timeout=5000";
        command.ExecuteNonQuery();
    }

    private static Config Of(string name, string provider, string database)
    {
        string sql =
            $$"""
            {
              provider-name = "{{provider}}"
              connection-string = "{{Quoted(database)}}"
            }
            """;
        return ConfigurationFactory.ParseString(
            $$"""
            akka.cluster.roles = ["{{ClusterNodes.RoleOf(name)}}"]
            akka.persistence {
              journal.sql = {{sql}}
              query.journal.sql = {{sql}}
              snapshot-store.sql = {{sql}}
            }
            """).WithFallback(Resource("fleet.conf")).WithFallback(SqlPersistence.DefaultConfiguration);
    }

    private static Config Resource(string name) => ConfigurationFactory.FromResource(name, typeof(NodeSystem).Assembly);

    // For a string of HOCON.
    private static string Quoted(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
