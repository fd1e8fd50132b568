using Vmm.Emulation.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A file with all frames of a link: <c>-object filter-dump,id=ID,netdev=ID,file=FILE[,maxlen=BYTES]</c>. Frames are recorded before they
/// are cut to the link's size.
/// </summary>
/// <param name="Most">Bytes that are kept of each frame.</param>
public sealed record FilterDumpOption(string Netdev, string File, int Most)
{
    public const string Type = "filter-dump";

    private const int DefaultMost = 65536;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static FilterDumpOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string? netdev = null;
        string? file = null;
        int most = DefaultMost;
        foreach ((string key, string? value) in pairs.Where(p => p.Key is not ("qom-type" or "id")))
        {
            switch (key, value)
            {
                case ("netdev", { Length: > 0 }):
                    netdev = value;
                    break;
                case ("file", { Length: > 0 }):
                    file = value;
                    break;
                case ("maxlen", { } length):
                    most = QemuNumber.TryParse(length, out long bytes) && bytes is > 0 and <= int.MaxValue ? (int)bytes
                        : throw new OptionException("Property 'filter-dump.maxlen' can't be zero or larger than 2147483647");
                    break;
                case ("queue", "all") or ("status", "on"):
                    break;
                default:
                    throw new OptionException(
                        $"not supported: filter-dump with {UserText.Legible(value == null ? key : $"{key}={value}")}");
            }
        }

        return new FilterDumpOption(
            netdev ?? throw new OptionException("Parameter 'netdev' is required"),
            file ?? throw new OptionException("filter dump needs 'file' property set"), most);
    }

    /// <summary>Makes the file.</summary>
    /// <exception cref="OptionException">The host does not let it.</exception>
    public PcapDump Open()
    {
        try
        {
            var dump = new PcapDump(new FileStream(File, FileMode.Create, FileAccess.Write, FileShare.Read), Most);
            dump.Begin();
            return dump;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"filter-dump: can't open {UserText.Legible(File)}: {SystemError.Describe(e)}");
        }
    }
}
