namespace Vmm.Host;

/// <summary>How this program starts itself again, as another process with another task.</summary>
internal static class OwnProgram
{
    /// <summary>The path of a program, and its first arguments.</summary>
    public static IReadOnlyList<string> Command
    {
        get
        {
            // Under a program that has ours as a library, such as that of the tests, it is run as dotnet does.
            string ours = typeof(OwnProgram).Assembly.GetName().Name!;
            string running = Environment.ProcessPath ?? "";
            return Path.GetFileName(running) == ours ? [running]
                : [Path.GetFileName(running) == "dotnet" ? running : FindDotnet(), Path.Combine(AppContext.BaseDirectory, $"{ours}.dll")];
        }
    }

    private static string FindDotnet() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(folder => Path.Combine(folder, "dotnet")).FirstOrDefault(File.Exists) ?? "/usr/bin/dotnet";
}
