using System.Security.Cryptography;
using System.Text;
using Vmm.Fleet.Cluster;
using Vmm.Management.Certificates;
using Vmm.Management.Text;

namespace Vmm.Fleet.Rest;

/// <summary>What whoever has a token may do; each role may do what those before it may.</summary>
public enum RestRole
{
    /// <summary>Look.</summary>
    Viewer,

    /// <summary>Start, stop, change, save and move VMs.</summary>
    Operator,

    /// <summary>Create and delete VMs.</summary>
    Admin,
}

/// <summary>
/// The bearer tokens of REST (RFC 6750), in a file that is its owner's alone: lines of a role, a name and a token.
/// </summary>
internal sealed class RestTokens
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly List<(byte[] Hash, RestRole Role, string Name)> _tokens = [];

    private RestTokens()
    {
    }

    /// <summary>
    /// The tokens of a file, which is made with one for an administrator if it is missing. Those that change while the program runs hold at
    /// once.
    /// </summary>
    /// <exception cref="NodeConfigException">It cannot be made or read, others can read it, or a line is wrong.</exception>
    public static WatchedFiles<RestTokens> Open(string path)
    {
        try
        {
            if (!File.Exists(path))
            {
                Make(path);
            }

            // One that is gone later is not made anew behind the back of whoever took it away.
            return new WatchedFiles<RestTokens>("the tokens", [path], () => Read(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot make the tokens '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    /// <summary>Whose token it is; null for nobody's. The time that it takes tells nothing of the tokens.</summary>
    public Asker? Find(string token)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(token));
        Asker? found = null;
        foreach ((byte[] known, RestRole role, string name) in _tokens)
        {
            if (CryptographicOperations.FixedTimeEquals(known, hash))
            {
                found = new Asker(name, role);
            }
        }

        return found;
    }

    private static RestTokens Read(string path)
    {
        try
        {
            if ((new FileInfo(path).UnixFileMode & ~OwnerOnly) != 0)
            {
                throw new NodeConfigException($"'{path}' has tokens, and others can read it: chmod 600 it, and give other tokens");
            }

            var tokens = new RestTokens();
            foreach (string line in File.ReadLines(path).Where(l => l.Length > 0 && l[0] != '#'))
            {
                tokens.Add(path, line);
            }

            return tokens;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot read the tokens '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    private static void Make(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerOnly;
        }

        using var file = new StreamWriter(path, options);
        string token = RandomNumberGenerator.GetHexString(48, lowercase: true);
        file.Write($"# role (viewer, operator, admin), name, token\nadmin admin {token}\n");
    }

    private void Add(string path, string line)
    {
        if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var word, var name, var token]
            || !Enum.TryParse(word, ignoreCase: true, out RestRole role) || char.IsAsciiDigit(word[0]) || token.Length < 20)
        {
            throw new NodeConfigException(
                $"'{path}': each line is a role (viewer, operator, admin), a name, and a token of at least 20 characters");
        }

        _tokens.Add((SHA256.HashData(Encoding.UTF8.GetBytes(token)), role, name));
    }
}
