using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Commands;

public sealed record MemsaveArguments(ulong Val, ulong Size, string Filename, long? CpuIndex);

public sealed record PmemsaveArguments(ulong Val, ulong Size, string Filename);

/// <summary>Commands that save guest memory to files.</summary>
public sealed class MemoryCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table)
    {
        table.Add<MemsaveArguments>("memsave", Memsave);
        table.Add<PmemsaveArguments>("pmemsave", Pmemsave);
    }

    public async Task Memsave(MemsaveArguments arguments)
    {
        if (arguments.CpuIndex is < 0 || arguments.CpuIndex >= vm.Config.PossibleCpus)
        {
            throw new QapiException("Parameter 'cpu-index' expects a CPU number");
        }

        await Save((int)(arguments.CpuIndex ?? 0), arguments.Val, arguments.Size, arguments.Filename).ConfigureAwait(false);
    }

    public Task Pmemsave(PmemsaveArguments arguments) => Save(-1, arguments.Val, arguments.Size, arguments.Filename);

    // QEMU writes zeros for physical memory that does not exist. Here it is an error, as unmapped virtual memory is.
    private async Task Save(int cpu, ulong start, ulong size, string path)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Create, FileAccess.Write);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new QapiException($"Could not open '{path}': {SystemError.Describe(e, path)}");
        }

        await using (file.ConfigureAwait(false))
        {
            try
            {
                for (ulong done = 0; done < size;)
                {
                    int count = (int)Math.Min(size - done, (ulong)ReadGuestMemory.Longest);
                    byte[] bytes = await vm.ReadMemory(cpu, start + done, count).ConfigureAwait(false);
                    if (bytes.Length < count)
                    {
                        ulong read = done + (ulong)bytes.Length;
                        throw new QapiException($"Invalid addr 0x{start + read:x16}/size {size - read} specified");
                    }

                    await file.WriteAsync(bytes).ConfigureAwait(false);
                    done += (ulong)count;
                }
            }
            catch (IOException)
            {
                throw new QapiException("An IO error has occurred");
            }
        }
    }
}
