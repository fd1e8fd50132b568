using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class StateFolderTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public void Dispose() => Directory.Delete(_path, recursive: true);

    [Fact]
    public void Folder_is_made_and_had_by_one_at_a_time()
    {
        using (StateFolder first = StateFolder.Open(_path))
        {
            Assert.True(File.Exists(Path.Combine(_path, "hotplug.db")));
            Assert.DoesNotContain('\n', Assert.Throws<OptionException>(() => StateFolder.Open(_path)).Message);
        }

        using StateFolder second = StateFolder.Open(_path);
    }

    [Fact]
    public void Save_that_was_cut_off_is_told_and_its_files_are_removed()
    {
        string snapshot = Path.Combine(StateFolder.SnapshotsOf(_path), "half");
        Directory.CreateDirectory(snapshot);
        File.WriteAllText(Path.Combine(snapshot, "ram-1"), "half of it");
        using (StateFolder state = StateFolder.Open(_path))
        {
            Assert.Equal(["half"], state.CutOffSaves);
            Assert.False(Directory.Exists(snapshot));
        }

        using StateFolder again = StateFolder.Open(_path);
        Assert.Empty(again.CutOffSaves);
    }

    [Fact]
    public void File_that_is_no_journal_is_refused_and_kept()
    {
        Directory.CreateDirectory(_path);
        string file = Path.Combine(_path, "hotplug.db");
        string content = new('x', 5000);
        File.WriteAllText(file, content);
        string message = Assert.Throws<OptionException>(() => StateFolder.Open(_path)).Message;
        Assert.Contains("file is not a database", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        Assert.Equal(content, File.ReadAllText(file));
        File.Delete(file);
        using StateFolder again = StateFolder.Open(_path);
    }
}
