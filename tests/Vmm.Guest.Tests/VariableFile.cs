using Vmm.Emulation.Boards;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>Debian's firmware with a file of its own for the variables, locked while it is in use.</summary>
internal sealed class VariableFile : IDisposable
{
    /// <param name="path">Of the file; it is made, without variables, if it is not there.</param>
    public VariableFile(string path)
    {
        if (!File.Exists(path))
        {
            File.Copy("/usr/share/AAVMF/AAVMF_VARS.fd", path);
        }

        Firmware = FirmwareOption.Open(
            null,
            [
                "if=pflash,format=raw,unit=0,file=/usr/share/AAVMF/AAVMF_CODE.fd,readonly=on", $"if=pflash,format=raw,unit=1,file={path}",
            ])!;
    }

    public FirmwareConfig Firmware { get; }

    public void Dispose() => Firmware.Variables.File!.Dispose();
}
