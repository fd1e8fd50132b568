using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>The journal in a file: what it holds is read again, and what is wrong with it is said in one line.</summary>
public sealed class JournalFileTests : IDisposable
{
    private static readonly IHotplugEvent s_plug = new PlugStarted("core2", 2, 1764000000000);
    private static readonly IHotplugEvent s_done = new PlugConfirmed("core2", 2, 1764000000001);

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-journal").FullName;
    private bool _mounted;

    private string File => Path.Combine(_folder, "hotplug.db");

    public void Dispose()
    {
        if (_mounted)
        {
            Run("umount", _folder);
        }

        Directory.Delete(_folder, recursive: true);
    }

    private void Fill()
    {
        using JournalFile journal = JournalFile.Open(File);
        journal.Append([s_plug]);
        journal.Append([s_done, new PlugStarted("core3", 3, 1764000000002)]);
    }

    private void Change(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private string Refusal()
    {
        string message = Assert.Throws<JournalException>(() => JournalFile.Open(File)).Message;
        Assert.DoesNotContain('\n', message);
        Assert.Contains(File, message, StringComparison.Ordinal);
        return message;
    }

    private static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    [Fact]
    public void What_was_appended_is_read_again()
    {
        Fill();
        using JournalFile journal = JournalFile.Open(File);
        Assert.Equal(["core2", "core3"], journal.State.Plugged.Values);
        Assert.Equal([3], journal.State.Pending.Keys);
        journal.Append([new PlugConfirmed("core3", 3, 0)]);
        Assert.Empty(journal.State.Pending);
    }

    /// <summary>As Akka.Persistence.Sql has made it.</summary>
    [Fact]
    public void Journal_of_an_earlier_version_is_read_and_goes_on()
    {
        Change(
            """
            CREATE TABLE [journal] ([ordering] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, [created] INTEGER NOT NULL,
                [deleted] Bit NOT NULL, [persistence_id] NVarChar(255) NOT NULL, [sequence_number] INTEGER NOT NULL,
                [message] VarBinary NOT NULL, [manifest] NVarChar(500) NULL,
                [identifier] INTEGER NULL, [writer_uuid] NVarChar(128) NULL);
            CREATE UNIQUE INDEX journal_uq ON journal (persistence_id, sequence_number);
            CREATE TABLE [tags] ([ordering_id] INTEGER NOT NULL, [tag] NVarChar(64) NOT NULL, [sequence_nr] INTEGER NOT NULL,
                [persistence_id] NVarChar(255) NOT NULL);
            INSERT INTO journal VALUES (1, 639314511094390550, 0, 'hotplug', 1,
                CAST('{"Id":"c2","Cpu":2,"At":1795854309433}' AS BLOB), 'jp', 7001, '2d14');
            INSERT INTO journal VALUES (2, 639314511095754932, 0, 'hotplug', 2,
                CAST('{"Id":"c2","Cpu":2,"At":1795854309574}' AS BLOB), 'jt', 7001, '2d14');
            INSERT INTO journal VALUES (3, 639314511095754932, 0, 'hotplug', 3,
                CAST('{"Id":"c2","Cpu":2,"At":1795854309574}' AS BLOB), 'jc', 7001, '2d14');
            """);
        using (JournalFile journal = JournalFile.Open(File))
        {
            Assert.Equal(["c2"], journal.State.Plugged.Values);
            journal.Append([new UnplugStarted("c2", 2, 0), new UnplugCompleted("c2", 2, 0)]);
        }

        using JournalFile again = JournalFile.Open(File);
        Assert.Empty(again.State.Plugged);
    }

    [Theory]
    [InlineData("DROP TABLE journal; CREATE TABLE other (a)", "is a database of something else: it has no table 'journal'")]
    [InlineData("DROP TABLE journal; CREATE TABLE journal (a)",
        "is a database of something else: its table 'journal' has no column 'ordering'")]
    [InlineData("UPDATE journal SET persistence_id = 'payroll'", "is a database of something else: it has events of 'payroll'")]
    [InlineData("DELETE FROM journal WHERE sequence_number = 2", "is damaged: event 2 is missing")]
    [InlineData("DELETE FROM journal WHERE sequence_number = 1", "is damaged: event 1 is missing")]
    [InlineData("UPDATE journal SET sequence_number = 'x' WHERE sequence_number = 2", "is damaged: event 2 is missing")]
    [InlineData("UPDATE journal SET manifest = 'zz' WHERE sequence_number = 2", "is damaged: event 2 does not say what happened")]
    [InlineData("UPDATE journal SET manifest = NULL WHERE sequence_number = 2", "is damaged: event 2 does not say what happened")]
    [InlineData("UPDATE journal SET manifest = 'hp' WHERE sequence_number = 2", "is damaged: event 2 is none of hotplug")]
    [InlineData("UPDATE journal SET message = x'00ff' WHERE sequence_number = 3", "is damaged: event 3 does not say what happened")]
    [InlineData("UPDATE journal SET message = CAST('{}' AS BLOB) WHERE sequence_number = 3",
        "is damaged: event 3 does not say what happened")]
    [InlineData("UPDATE journal SET message = 7 WHERE sequence_number = 3", "is damaged: event 3 does not say what happened")]
    [InlineData("UPDATE journal SET message = CAST('{\"Id\":\"a\",\"Cpu\":-1,\"At\":0}' AS BLOB) WHERE sequence_number = 3",
        "is damaged: event 3 is none of hotplug")]
    [InlineData("UPDATE journal SET manifest = 'jt' WHERE sequence_number = 1", "is damaged: event 1 does not say what happened")]
    public void What_is_wrong_with_it_is_said(string change, string said)
    {
        Fill();
        Change(change);
        Assert.Contains(said, Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Damaged_page_is_said(int page)
    {
        Fill();
        const int PageSize = 4096;
        using (FileStream stream = System.IO.File.OpenWrite(File))
        {
            Assert.True(stream.Length > page * PageSize);
            stream.Position = page * PageSize;
            stream.Write([.. Enumerable.Repeat((byte)0x5A, PageSize)]);
        }

        Refusal();
    }

    [Fact]
    public void File_cut_short_is_said()
    {
        Fill();
        using (FileStream stream = System.IO.File.OpenWrite(File))
        {
            stream.SetLength(4096 + 100);
        }

        Refusal();
    }

    [Fact]
    public void Write_that_fails_keeps_nothing_and_the_next_one_works()
    {
        using JournalFile journal = JournalFile.Open(File);
        journal.Append([s_plug]);
        Change("CREATE TRIGGER full BEFORE INSERT ON journal WHEN new.sequence_number = 3 BEGIN SELECT RAISE(ABORT, 'no room'); END");
        string message = Assert.Throws<JournalException>(() => journal.Append([s_done, new PlugStarted("core3", 3, 0)])).Message;
        Assert.Equal($"the change cannot be written to '{File}': no room", message);
        Assert.Equal([2], journal.State.Pending.Keys);
        Change("DROP TRIGGER full");
        journal.Append([s_done]);
        journal.Append([new PlugStarted("core3", 3, 0)]);
        using JournalFile again = JournalFile.Open(File);
        Assert.Equal(["core2", "core3"], again.State.Plugged.Values);
        Assert.Equal([3], again.State.Pending.Keys);
    }

    [Fact]
    public void File_that_somebody_else_holds_is_said()
    {
        using JournalFile journal = JournalFile.Open(File);
        using var other = new SqliteConnection($"Data Source={File};Pooling=False");
        other.Open();
        using (SqliteCommand hold = other.CreateCommand())
        {
            hold.CommandText = "BEGIN IMMEDIATE";
            hold.ExecuteNonQuery();
            Assert.Contains("database is locked", Assert.Throws<JournalException>(() => journal.Append([s_plug])).Message,
                StringComparison.Ordinal);
            hold.CommandText = "ROLLBACK";
            hold.ExecuteNonQuery();
        }

        journal.Append([s_plug]);
    }

    // A file system of its own that is full: only root can have one.
    private bool Mount()
    {
        _mounted = Environment.IsPrivilegedProcess && Run("mount", "-t", "tmpfs", "-o", "size=64k", "none", _folder) == 0;
        return _mounted;
    }

    private void FillDisk()
    {
        using FileStream ballast = System.IO.File.Create(Path.Combine(_folder, "ballast"));
        byte[] page = new byte[4096];
        try
        {
            while (true)
            {
                ballast.Write(page);
                ballast.Flush();
            }
        }
        catch (IOException)
        {
            // Full.
        }
    }

    [Fact]
    public void Disk_that_is_full_refuses_until_there_is_room()
    {
        if (!Mount())
        {
            return;
        }

        using (JournalFile journal = JournalFile.Open(File))
        {
            journal.Append([s_plug]);
            FillDisk();
            string message = Assert.Throws<JournalException>(() => journal.Append([s_done])).Message;
            Assert.Contains("full", message, StringComparison.Ordinal);
            Assert.Equal([2], journal.State.Pending.Keys);
            System.IO.File.Delete(Path.Combine(_folder, "ballast"));
            journal.Append([s_done]);
            FillDisk();
        }

        Assert.Contains("full", Refusal(), StringComparison.Ordinal);
        System.IO.File.Delete(Path.Combine(_folder, "ballast"));
        using JournalFile again = JournalFile.Open(File);
        Assert.Equal(["core2"], again.State.Plugged.Values);
        Assert.Empty(again.State.Pending);
    }

    [Fact]
    public void File_that_cannot_be_written_is_said_at_the_start()
    {
        Fill();
        if (Environment.IsPrivilegedProcess)
        {
            // Root writes any file, but none on a file system that is read-only.
            if (Run("mount", "--bind", _folder, _folder) != 0)
            {
                return;
            }

            _mounted = true;
            Assert.Equal(0, Run("mount", "-o", "remount,ro,bind", _folder));
        }
        else
        {
            Assert.Equal(0, Run("chmod", "444", File));
        }

        Assert.Contains("cannot be used: ", Refusal(), StringComparison.Ordinal);
    }
}
