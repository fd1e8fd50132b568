using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The options for firmware: <c>-bios FILE</c>, and <c>-drive if=pflash,format=raw,unit=0|1,file=F[,readonly=on]</c> for the banks of
/// flash.
/// </summary>
public static class FirmwareOption
{
    // Bytes; four instructions.
    private const int SmallestFirmware = 16;

    public const string DriveSyntax = "if=pflash,format=raw,unit=0|1,file=F[,readonly=on]";

    /// <summary>
    /// Opens the files of the options; null for no firmware. The file of a drive that can be written to stays open and locked.
    /// </summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static FirmwareConfig? Open(string? bios, IReadOnlyList<string> drives)
    {
        var banks = new FlashImage?[2];
        foreach (string text in drives)
        {
            Drive drive = Parse(text, banks);
            if (banks[drive.Unit] != null)
            {
                throw new OptionException($"drive with bus=0, unit={drive.Unit} (index={drive.Unit}) exists");
            }

            banks[drive.Unit] = OpenBank(drive);
        }

        if (bios != null)
        {
            if (banks[0] != null)
            {
                throw new OptionException("The contents of the first flash device may be specified with -bios or with -drive if=pflash... "
                    + "but you cannot use both options at once");
            }

            banks[0] = new FlashImage(ReadBank("firmware", Find(bios), exact: false), ReadOnly: true);
        }

        if (banks[0] == null)
        {
            return banks[1] == null ? null
                : throw new OptionException("a drive of pflash unit 1 without firmware: give -bios, or a drive of unit 0");
        }

        return new FirmwareConfig(banks[0]!, banks[1] ?? new FlashImage(default, ReadOnly: false));
    }

    // Finds the file of -bios. A name without a folder is also looked for in the folder of Debian's qemu-efi-aarch64, as QEMU looks in its
    // own.
    private static string Find(string bios)
    {
        string installed = Path.Combine("/usr/share/qemu-efi-aarch64", bios);
        return !bios.Contains('/', StringComparison.Ordinal) && !File.Exists(bios) && File.Exists(installed) ? installed : bios;
    }

    private sealed record Drive(int Unit, string File, bool ReadOnly);

    private static Drive Parse(string text, FlashImage?[] banks)
    {
        int? unit = null;
        string? file = null;
        bool pflash = false;
        bool readOnly = false;
        foreach ((string key, string? value) in KeyValues.Parse(text, null))
        {
            switch (key, value)
            {
                case ("if", "pflash"):
                    pflash = true;
                    break;
                case ("format", "raw"):
                    break;
                case ("unit" or "index", "0" or "1"):
                    unit = value[0] - '0';
                    break;
                case ("file", { Length: > 0 }):
                    file = value;
                    break;
                case ("readonly" or "read-only", _):
                    readOnly = KeyValues.Switch(key, value);
                    break;
                default:
                    throw new OptionException($"-drive: '{UserText.Legible(value == null ? key : $"{key}={value}")}' is not supported; "
                        + $"there is {DriveSyntax}");
            }
        }

        if (!pflash || file == null)
        {
            throw new OptionException($"-drive {UserText.Legible(text)}: give {DriveSyntax}");
        }

        return new Drive(unit ?? (banks[0] == null ? 0 : 1), file, readOnly);
    }

    private static FlashImage OpenBank(Drive drive)
    {
        if (drive.ReadOnly)
        {
            return new FlashImage(ReadBank("flash image", drive.File, exact: true), ReadOnly: true);
        }

        SafeFileHandle handle = UserFile.Open("flash image", drive.File, FileAccess.ReadWrite, FileShare.None);
        try
        {
            return new FlashImage(ReadBank("flash image", drive.File, handle, exact: true), ReadOnly: false, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static byte[] ReadBank(string what, string path, bool exact)
    {
        using SafeFileHandle handle = UserFile.Open(what, path);
        return ReadBank(what, path, handle, exact);
    }

    // Reads a bank without the zeros at its end: most of its 64 MiB are zeros.
    private static byte[] ReadBank(string what, string path, SafeFileHandle handle, bool exact)
    {
        const long Bank = (long)VirtMap.FlashBankSize;
        long length = RandomAccess.GetLength(handle);
        if (!exact && length < SmallestFirmware)
        {
            throw new OptionException($"the {what} '{UserText.Legible(path)}' has {length} bytes: too few for a program");
        }

        if (length > Bank || (exact && length != Bank))
        {
            throw new OptionException(
                $"the {what} '{UserText.Legible(path)}' has {length} bytes: {(exact ? "" : "at most ")}{Bank >> 20} MiB, the size of a "
                    + $"bank of flash, {(exact ? "are needed" : "fit")}");
        }

        try
        {
            using var contents = new MemoryStream();
            byte[] piece = new byte[1 << 20];
            int read;
            long end = 0;
            for (long at = 0; at < length && (read = RandomAccess.Read(handle, piece, at)) > 0; at += read)
            {
                int used = piece.AsSpan(0, read).LastIndexOfAnyExcept((byte)0) + 1;
                if (used > 0)
                {
                    contents.SetLength(at);
                    contents.Position = at;
                    contents.Write(piece, 0, used);
                    end = at + used;
                }
            }

            contents.SetLength(end);
            byte[] bank = contents.ToArray();
            RequireWhole(bank, length, what, path);
            return bank;
        }
        catch (IOException e)
        {
            throw new OptionException($"cannot read the {what} '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    // Refuses a truncated file. EDK2's file is a firmware volume: it begins in the first or second page and states its length (UEFI
    // Platform Initialization 1.8, volume 3, 3.2.1.1).
    private static void RequireWhole(ReadOnlySpan<byte> bank, long length, string what, string path)
    {
        const int Page = 4096;
        const int LengthOffset = 32;
        const int SignatureOffset = 40;
        for (int at = 0; at <= Page && at + SignatureOffset < bank.Length; at += Page)
        {
            if (bank[(at + SignatureOffset)..].StartsWith("_FVH"u8))
            {
                ulong end = BinaryPrimitives.ReadUInt64LittleEndian(bank[(at + LengthOffset)..]) + (ulong)at;
                if (end > (ulong)length)
                {
                    throw new OptionException($"the {what} '{UserText.Legible(path)}' is truncated: it has {length} bytes, and the header "
                        + $"of its volume tells of {end}");
                }
            }
        }
    }
}
