using System.Diagnostics;

namespace Vmm.Emulation.Tests.Block;

/// <summary>A folder for images, and QEMU's tools for them.</summary>
internal sealed class QemuImages : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("vmm-block-").FullName;

    public string Path(string name) => System.IO.Path.Combine(Folder, name);

    /// <summary>Runs <c>qemu-img</c> in the folder.</summary>
    public string Image(params string[] arguments) => Run("qemu-img", arguments);

    /// <summary>Makes an image of QEMU's.</summary>
    public string Create(string name, string options, params string[] rest)
    {
        string[] o = options.Length > 0 ? ["-o", options] : [];
        Image(["create", "-q", "-f", "qcow2", .. o, name, .. rest]);
        return Path(name);
    }

    /// <summary>Runs commands of <c>qemu-io</c> on an image.</summary>
    public string Io(string name, params string[] commands) =>
        Run("qemu-io", ["-f", "qcow2", .. commands.SelectMany(c => new[] { "-c", c }), name]);

    /// <summary>The bytes of a disk as QEMU reads them.</summary>
    public byte[] Read(string name, params string[] options)
    {
        string raw = name + ".bytes";
        Image(["convert", "-f", "qcow2", .. options, "-O", "raw", name, raw]);
        byte[] bytes = File.ReadAllBytes(Path(raw));
        File.Delete(Path(raw));
        return bytes;
    }

    /// <summary>QEMU finds neither errors nor leaks in an image.</summary>
    public void Check(string name) => Image("check", "-q", "-f", "qcow2", name);

    /// <summary>The exit code of a check: 0 for all well, 3 for leaks alone (qemu-img(1), "check").</summary>
    public int CheckCode(string name, out string output)
    {
        using Process process = Start("qemu-img", ["check", "-f", "qcow2", name], out Task<string> text);
        process.WaitForExit();
        output = text.Result;
        return process.ExitCode;
    }

    private string Run(string tool, string[] arguments)
    {
        using Process process = Start(tool, arguments, out Task<string> output);
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{tool} {string.Join(' ', arguments)}: {output.Result}");
        return output.Result;
    }

    /// <summary>Starts a tool whose output is read meanwhile.</summary>
    public Process Start(string tool, string[] arguments, out Task<string> output)
    {
        Process process = Process.Start(new ProcessStartInfo(tool, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task<string> text = process.StandardOutput.ReadToEndAsync();
        output = Task.Run(async () => await text + await error);
        return process;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
