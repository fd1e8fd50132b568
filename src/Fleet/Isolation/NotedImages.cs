using System.Text.Json;
using System.Text.Json.Serialization;
using Serilog;
using Vmm.Actors.Devices;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Management.Text;

namespace Vmm.Fleet.Isolation;

/// <summary>
/// The files that a VM's images stand on. They are in headers that the VM's process can write, so what they are is noted when the VM first
/// starts here with an image: a header that names another file later opens nothing.
/// </summary>
internal static class NotedImages
{
    /// <exception cref="IOException">The note cannot be read or written.</exception>
    public static IReadOnlyList<string> BackingFiles(VmFolder folder, VmSpec spec)
    {
        string[] images = [.. spec.Disks.Where(VmCommandLine.IsQcow2)];
        if (images.Length == 0)
        {
            return [];
        }

        Dictionary<string, string[]> noted = Read(folder.Images);
        bool isNew = false;
        foreach (string image in images.Where(image => !noted.ContainsKey(image)))
        {
            if (ImageChain.TryRead(image, out IReadOnlyList<string> below, out string problem))
            {
                noted[image] = [.. below];
                isNew = true;
            }
            else
            {
                // The VM's process says it, too, and ends.
                Log.Debug("{Image}: {Problem}", image, problem);
            }
        }

        if (isNew)
        {
            string next = $"{folder.Images}.new";
            File.WriteAllBytes(next, JsonSerializer.SerializeToUtf8Bytes(noted, ImagesJson.Default.DictionaryStringStringArray));
            File.Move(next, folder.Images, overwrite: true);
        }

        return [.. images.SelectMany(image => noted.GetValueOrDefault(image) ?? [])];
    }

    private static Dictionary<string, string[]> Read(string path)
    {
        try
        {
            return !File.Exists(path) ? []
                : JsonSerializer.Deserialize(File.ReadAllBytes(path), ImagesJson.Default.DictionaryStringStringArray) ?? [];
        }
        catch (JsonException e)
        {
            throw new IOException($"'{UserText.Legible(path)}': {e.Message}", e);
        }
    }
}

/// <summary>The JSON form of what is noted: the files below each image.</summary>
[JsonSerializable(typeof(Dictionary<string, string[]>))]
internal sealed partial class ImagesJson : JsonSerializerContext;
