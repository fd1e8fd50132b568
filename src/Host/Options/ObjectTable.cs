using Vmm.Host.Migration;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The objects of a VM (<c>-object</c>, <c>object_add</c>) by their ids. Any thread.</summary>
public sealed class ObjectTable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (ObjectOption Option, TlsCredentials? Credentials)> _objects = new(StringComparer.Ordinal);

    // What cannot leave while the VM is there.
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>The objects of a command line.</summary>
    /// <exception cref="OptionException">The files of credentials cannot be used: one line.</exception>
    public static ObjectTable Of(RunOptions options)
    {
        var table = new ObjectTable();
        foreach (ObjectOption option in options.Objects)
        {
            table.Put(option);
            if (option.Dump != null || option.Id == options.Machine.Machine.MemoryBackend)
            {
                table._used.Add(option.Id);
            }
        }

        return table;
    }

    /// <summary>Makes an object while the VM runs.</summary>
    /// <param name="text">As <c>-object</c> has it, or a JSON object.</param>
    /// <returns>The object.</returns>
    /// <exception cref="OptionException">Why not: one line.</exception>
    public ObjectOption Add(string text)
    {
        var option = ObjectOption.Parse(text);
        if (option.Dump != null)
        {
            throw new OptionException($"not supported: {FilterDumpOption.Type} while the VM runs; give it as -object");
        }

        Put(option);
        return option;
    }

    /// <summary>Forgets an object.</summary>
    /// <exception cref="OptionException">There is none, or something has it: one line, in QEMU's words.</exception>
    public void Remove(string id)
    {
        lock (_lock)
        {
            if (!_objects.TryGetValue(id, out (ObjectOption Option, TlsCredentials?) found))
            {
                throw new OptionException($"object '{UserText.Legible(id)}' not found");
            }

            if (_used.Contains(id))
            {
                throw new OptionException($"object '{id}' is in use, can not be deleted");
            }

            if (found.Option.Limits != null)
            {
                throw new OptionException("not supported: a throttle-group stays as long as the VM, for disks name it");
            }

            _objects.Remove(id);
        }
    }

    /// <summary>TLS credentials; null where no object of this id has any.</summary>
    internal TlsCredentials? FindCredentials(string id)
    {
        lock (_lock)
        {
            return _objects.GetValueOrDefault(id).Credentials;
        }
    }

    /// <summary>Who may connect; null where no object of this id says so.</summary>
    internal AuthzOption? FindAuthz(string id)
    {
        lock (_lock)
        {
            return _objects.GetValueOrDefault(id).Option?.Authz;
        }
    }

    private void Put(ObjectOption option)
    {
        TlsCredentials? credentials = option.Tls == null ? null : TlsCredentials.Load(option.Tls);
        lock (_lock)
        {
            if (!_objects.TryAdd(option.Id, (option, credentials)))
            {
                throw ObjectOption.Duplicate(option.Id);
            }
        }
    }
}
