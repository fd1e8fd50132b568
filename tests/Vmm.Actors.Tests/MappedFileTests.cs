using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Tests;

/// <summary>A VM that goes to a file whose RAM is mapped, and one that goes on from it (<c>mapped-ram</c>).</summary>
public sealed class MappedFileTests : MigrationTestKit
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vmm-mapped-{Guid.NewGuid():N}");

    private string Uri => $"file:{_path}";

    private static SetMigrationCapabilities Mapped => new([MigrationCapability.MappedRam], [true]);

    // The source's guest is in the file.
    private void Save()
    {
        _from = MakeVm(_machine, _sourceJournal);
        _from.Tell(new StartVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        FillRam();
        Done(_from, Mapped);
        _from.Tell(new StartMigration(Uri, Resume: false), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
        Assert.Equal("", AwaitEnd(_from).Problem);
        Assert.Equal(VmRunState.PostMigrate, Status(_from).RunState);
        Assert.IsType<MigrationGone>(_sourceJournal.Last);
    }

    private MigrationInfo Restore()
    {
        _to = MakeVm(_target, _targetJournal);
        _to.Tell(new PrepareIncoming(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        Done(_to, Mapped);
        _to.Tell(new ReceiveMigration(Uri), TestActor);
        Assert.Equal(Uri, ExpectMsg<MigrationStarted>(s_patience).Address);
        return AwaitEnd(_to);
    }

    private void Flip(long at)
    {
        using FileStream file = File.Open(_path, FileMode.Open);
        file.Position = at;
        int was = file.ReadByte();
        file.Position = at;
        file.WriteByte((byte)(was ^ 1));
    }

    [Fact]
    public void Guest_goes_on_from_the_file()
    {
        Save();
        MigrationInfo restored = Restore();
        Assert.Equal((MigrationStatus.Completed, ""), (restored.Status, restored.Problem));
        RequireRuns(_to, _target);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
        Assert.IsType<MigrationOwned>(_targetJournal.Last);
        MigrationInfo saved = Info(_from);
        Assert.InRange(saved.NormalPages, 1, 66);
        Assert.InRange(saved.Transferred, saved.NormalPages * GuestMemory.PageSize, 1 << 20);

        // It is the guest's own RAM.
        _target.Ram.Span(_target.Ram.Start, 1 << 20).Fill(0xAA);
        _target = new FakeMachine(enabled: 2, possible: 4);
        Assert.Equal("", Restore().Problem);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
    }

    [Fact]
    public void Machine_that_differs_is_refused_and_waits_on()
    {
        Save();
        _target = new FakeMachine(enabled: 2, possible: 8);
        Assert.Contains("cores 4 (here 8)", Restore().Problem);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);
    }

    /// <summary>Everything but RAM is checked before anything of the VM is touched.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData((64 << 10) + (1 << 20) + 9)]
    [InlineData(-9)]
    public void Damaged_file_is_refused_and_the_vm_waits_on(long at)
    {
        Save();
        Flip(at < 0 ? new FileInfo(_path).Length + at : at);
        MigrationInfo info = Restore();
        Assert.Equal(MigrationStatus.Failed, info.Status);
        Assert.StartsWith($"file '{_path}': ", info.Problem, StringComparison.Ordinal);
        Assert.Contains("damaged", info.Problem);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);
    }

    [Fact]
    public void Damaged_ram_is_noticed_while_the_guest_runs_and_a_reset_leads_out()
    {
        Save();
        Flip((64 << 10) + (3 << GuestMemory.PageShift));
        Restore();
        Assert.Equal(
            $"file '{_path}': block 0 of RAM is damaged: its checksum is wrong", AwaitStatus(_to, VmRunState.InternalError));
        _to.Tell(new ResetVm(), TestActor);
        Assert.Equal(VmRunState.Paused, ExpectMsg<VmStatus>(s_patience).RunState);
    }

    [Fact]
    public void File_of_the_other_kind_is_named()
    {
        Save();
        Done(_from, Mapped with { On = [false] });
        _to = MakeVm(_target, _targetJournal);
        _to.Tell(new PrepareIncoming(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        _to.Tell(new ReceiveMigration(Uri), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
        Assert.Contains("turn that capability on", AwaitEnd(_to).Problem);
    }

    [Fact]
    public void Folder_that_cannot_be_written_keeps_the_guest()
    {
        _from = MakeVm(_machine, _sourceJournal);
        _from.Tell(new StartVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        Done(_from, Mapped);
        _from.Tell(new StartMigration("file:/dev/full", Resume: false), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
    }

    [Fact]
    public void Combinations_that_cannot_be_are_refused_in_words_of_qemu()
    {
        _from = MakeVm(_machine, _sourceJournal);
        Assert.Equal("Mapped-ram migration is incompatible with postcopy", Rejection(_from, new SetMigrationCapabilities(
            [MigrationCapability.MappedRam, MigrationCapability.PostcopyRam], [true, true])));
        Done(_from, Mapped);
        Assert.Equal("Migration requires seekable transport (e.g. file)", Rejection(_from, new StartMigration("tcp:1", Resume: false)));
        Done(_from, new SetMigrationParameters([MigrationParameter.MultifdCompression], ["zstd"]));
        Assert.Equal("Cannot use compression with mapped-ram", Rejection(_from, new StartMigration(Uri, Resume: false)));
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        File.Delete(_path);
    }
}
