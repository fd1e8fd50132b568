using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>QEMU's types of jobs, of which some are ours.</summary>
public enum JobType
{
    Commit,
    Stream,
    Mirror,
    Backup,
    Create,
    Amend,
    SnapshotLoad,
    SnapshotSave,
    SnapshotDelete,
}

public enum JobStatus
{
    Undefined,
    Created,
    Running,
    Paused,
    Ready,
    Standby,
    Waiting,
    Pending,
    Aborting,
    Concluded,
    Null,
}

public sealed record JobInfo(string Id, JobType Type, JobStatus Status, long CurrentProgress, long TotalProgress, string? Error);

public sealed record JobIdArguments(string Id);

public sealed record JobStatusChangeEvent(string Id, JobStatus Status);

/// <summary>
/// Jobs (QEMU, qapi/job.json): commands that are answered at once, work on, and are there until they are dismissed, with how they ended.
/// Those that there are cannot be paused or cancelled.
/// </summary>
public sealed class JobCommands
{
    /// <summary>The event of each change of a job.</summary>
    public const string StatusChange = "JOB_STATUS_CHANGE";

    private readonly Lock _lock = new();

    // The newest first, as QEMU lists them. Guarded by the lock.
    private readonly LinkedList<JobInfo> _jobs = [];

    private event Action<JobStatusChangeEvent>? Changed;

    public void Register(QapiCommandTable table)
    {
        Changed += change => table.Raise(StatusChange, change);
        table.AddQuery("query-jobs", () => Task.FromResult(Query()));
        table.Add<JobIdArguments>("job-dismiss", a => Dismiss(a.Id));
        foreach (string verb in (string[])["cancel", "pause", "complete", "finalize"])
        {
            table.Add<JobIdArguments>($"job-{verb}", a => throw Refuse(a.Id, verb));
        }

        table.Add<JobIdArguments>("job-resume", a => throw (Find(a.Id) == null ? NotFound()
            : new QapiException("Can't resume a job that was not paused")));
    }

    private JobInfo[] Query()
    {
        lock (_lock)
        {
            return [.. _jobs];
        }
    }

    /// <summary>Begins a job; the client hears of its end by events.</summary>
    /// <param name="work">Fails with <see cref="QapiException"/>.</param>
    /// <exception cref="QapiException">The id cannot be that of a new job.</exception>
    public void Start(string id, JobType type, Func<Task> work)
    {
        if (id.Length == 0 || !char.IsAsciiLetter(id[0]) || !id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_'))
        {
            throw new QapiException($"Invalid job ID '{id}'");
        }

        lock (_lock)
        {
            if (_jobs.Any(j => j.Id == id))
            {
                throw new QapiException($"Job ID '{id}' already in use");
            }

            _jobs.AddFirst(new JobInfo(id, type, JobStatus.Created, 0, 1, null));
        }

        Changed?.Invoke(new JobStatusChangeEvent(id, JobStatus.Created));
        Change(id, job => job with { Status = JobStatus.Running });
        _ = Task.Run(() => Run(id, work));
    }

    private async Task Run(string id, Func<Task> work)
    {
        string? error = null;
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (QapiException e)
        {
            error = e.Message;
        }

        if (error == null)
        {
            Change(id, job => job with { Status = JobStatus.Waiting, CurrentProgress = 1 });
            Change(id, job => job with { Status = JobStatus.Pending });
        }
        else
        {
            Change(id, job => job with { Status = JobStatus.Aborting, CurrentProgress = 1, Error = error });
        }

        Change(id, job => job with { Status = JobStatus.Concluded });
    }

    private void Change(string id, Func<JobInfo, JobInfo> change)
    {
        JobStatus status;
        lock (_lock)
        {
            LinkedListNode<JobInfo> job = NodeOf(id)!;
            job.Value = change(job.Value);
            status = job.Value.Status;
        }

        Changed?.Invoke(new JobStatusChangeEvent(id, status));
    }

    private Task Dismiss(string id)
    {
        lock (_lock)
        {
            LinkedListNode<JobInfo> job = NodeOf(id) ?? throw NotFound();
            if (job.Value.Status != JobStatus.Concluded)
            {
                throw Refuse(job.Value, "dismiss");
            }

            _jobs.Remove(job);
        }

        Changed?.Invoke(new JobStatusChangeEvent(id, JobStatus.Null));
        return Task.CompletedTask;
    }

    private QapiException Refuse(string id, string verb) => Find(id) is { } job ? Refuse(job, verb) : NotFound();

    private static QapiException Refuse(JobInfo job, string verb) =>
        new($"Job '{job.Id}' in state '{job.Status.ToString().ToLowerInvariant()}' cannot accept command verb '{verb}'");

    private static QapiException NotFound() => new("Job not found");

    private JobInfo? Find(string id)
    {
        lock (_lock)
        {
            return NodeOf(id)?.Value;
        }
    }

    private LinkedListNode<JobInfo>? NodeOf(string id)
    {
        LinkedListNode<JobInfo>? node = _jobs.First;
        while (node != null && node.Value.Id != id)
        {
            node = node.Next;
        }

        return node;
    }
}
