using Vmm.Actors.Protocol;

namespace Vmm.Fleet.Messages;

/// <summary>Query: what there is to see of a VM at a node while somebody looks. Answer: <see cref="VmView"/>.</summary>
/// <param name="After">The number of the last happening that is known: later ones are told.</param>
public sealed record GetVmView(string Vm, long After) : IVmQuery;

/// <summary>A VM as its process tells of it.</summary>
/// <param name="At">When it was looked at: UTC milliseconds since 1970.</param>
/// <param name="Cpus">By the number of the possible CPU; empty without a process.</param>
/// <param name="RunNs">As in <see cref="VmMeter"/>, as the next two.</param>
/// <param name="Migration">The migration under way, or the last one of this process; null when there was none.</param>
/// <param name="Happened">The happenings that were asked for, at most 200.</param>
/// <param name="Last">The number of the last happening; 0 before the first.</param>
public sealed record VmView(
    string Vm, long At, CpuView[] Cpus, long RunNs, long[] BusyNs, long[] EnabledNs, MigrationView? Migration, VmHappening[] Happened,
    long Last) : IFleetMessage;

/// <summary>A possible CPU in each protocol, as <see cref="VcpuStatus"/> says.</summary>
public sealed record CpuView(CpuAdminState Admin, bool Acpi, bool Gic, PsciPowerState Psci, VcpuState Actor);

/// <summary>A migration, as <see cref="MigrationInfo"/> says.</summary>
public sealed record MigrationView(
    MigrationStatus Status, bool Incoming, string Problem, long TotalMilliseconds, long DowntimeMilliseconds, long Transferred,
    long Remaining, long Total, long Pass, long[] PassPages, long[] PassMilliseconds);

/// <summary>Something that happened in a VM.</summary>
/// <param name="Number">Counts up, from 1 for the first that a node has seen of the VM.</param>
/// <param name="At">UTC milliseconds since 1970.</param>
/// <param name="Cpu">The CPU that it is about; -1 for none.</param>
/// <param name="Text">One line for people.</param>
public sealed record VmHappening(long Number, long At, int Cpu, string Text);

/// <summary>
/// Query: what the guest has written to its serial line. Answer: <see cref="ConsoleOutput"/>, when there is some or after five seconds.
/// </summary>
/// <param name="Line">What the last answer said; empty for the first.</param>
/// <param name="Position">The end of what is known.</param>
public sealed record ReadConsole(string Vm, string Line, long Position) : IVmQuery;

/// <param name="Line">Whose positions they are: they begin anew with another node.</param>
/// <param name="Position">Of the end of the bytes.</param>
public sealed record ConsoleOutput(string Vm, string Line, long Position, byte[] Bytes) : IFleetMessage;

/// <summary>Send bytes to the guest's serial line. Answer: <see cref="ConsoleWritten"/>.</summary>
public sealed record WriteConsole(string Vm, byte[] Bytes) : IVmQuery;

/// <param name="Problem">Why they were not taken: one line; empty when they were.</param>
public sealed record ConsoleWritten(string Vm, string Problem) : IFleetMessage;

/// <summary>Query to the record of a VM. Answer: <see cref="VmHistory"/> or <see cref="VmRejected"/>.</summary>
public sealed record GetVmHistory(string Vm) : IVmRecordMessage;

/// <param name="Operations">The last operations, the newest last.</param>
/// <param name="Decisions">The last decisions of the policy since the record was loaded, the newest last.</param>
public sealed record VmHistory(VmRecord Record, VmOperation[] Operations, VmScaled[] Decisions) : IFleetMessage;
