using System.CommandLine;
using System.Globalization;
using Vmm.Fleet.Certificates;

namespace Vmm.Host.Commands;

/// <summary><c>vmm fleet ca …</c>: the certificates of a fleet, from an authority of its own in a folder.</summary>
public static class FleetCaCommand
{
    private const int DefaultDays = 365;

    private static readonly Option<string> s_folder = new("--folder")
    {
        Description = "the authority's folder; whoever can read its key can make certificates",
        Recursive = true,
        DefaultValueFactory = _ => "fleet-ca",
    };

    public static Command Create() =>
        new("ca", "The fleet's own certificates") { s_folder, CreateInit(), CreateIssue(), CreateRenew(), CreateRevoke(), CreateList() };

    private static Argument<string> Holder() => new("name") { Description = "the node's or the client's name" };

    private static Command CreateInit()
    {
        var name = new Argument<string>("name") { Description = "the fleet's name" };
        var init = new Command("init", "Make an authority") { name };
        init.SetAction(parsed => Guarded(() =>
        {
            string folder = parsed.GetValue(s_folder)!;
            using FleetAuthority made = FleetAuthority.Init(folder, parsed.GetValue(name)!, DateTimeOffset.UtcNow);
            System.Console.WriteLine($"{folder}/{FleetAuthority.CertificateFile} is for all nodes and clients, "
                + $"{folder}/{FleetAuthority.KeyFile} for nobody else");
        }));
        return init;
    }

    private static Command CreateIssue()
    {
        Argument<string> name = Holder();
        var hosts = new Option<string[]>("--host")
        {
            Description = "makes it a node's: a name or address at which the node serves", AllowMultipleArgumentsPerToken = true,
        };
        var role = new Option<string?>("--role") { Description = $"makes it a client's, who may do what a role may: {Roles}" };
        var days = new Option<int>("--days") { Description = "how long it is valid", DefaultValueFactory = _ => DefaultDays };
        var issue = new Command("issue", "Issue a certificate to a node or a client") { name, hosts, role, days };
        issue.SetAction(parsed => Guarded(() =>
        {
            FleetRole? client = parsed.GetValue(role) is { } word ? RoleOf(word) : null;
            string[] at = parsed.GetValue(hosts) ?? [];
            if (client == null == (at.Length == 0))
            {
                throw new CertificateException("either --host (of a node) or --role (of a client) is expected");
            }

            var identity =
                new FleetIdentity(parsed.GetValue(name)!, client == null ? CertificateKind.Node : CertificateKind.Client, client);
            using FleetAuthority authority = FleetAuthority.Open(parsed.GetValue(s_folder)!);
            Tell(authority, authority.Issue(identity, at, DateTimeOffset.UtcNow, TimeSpan.FromDays(parsed.GetValue(days))));
        }));
        return issue;
    }

    private static Command CreateRenew()
    {
        Argument<string> name = Holder();
        var renew = new Command("renew", "Issue a certificate to the same holder, with a new key") { name };
        renew.SetAction(parsed => Guarded(() =>
        {
            using FleetAuthority authority = FleetAuthority.Open(parsed.GetValue(s_folder)!);
            Tell(authority, authority.Renew(parsed.GetValue(name)!, DateTimeOffset.UtcNow));
        }));
        return renew;
    }

    private static Command CreateRevoke()
    {
        Argument<string> name = Holder();
        var revoke = new Command("revoke", "Revoke all certificates of a holder: nodes that have the new list take none of them") { name };
        revoke.SetAction(parsed => Guarded(() =>
        {
            string folder = parsed.GetValue(s_folder)!;
            using FleetAuthority authority = FleetAuthority.Open(folder);
            IReadOnlyList<string> serials = authority.Revoke(parsed.GetValue(name)!, DateTimeOffset.UtcNow);
            System.Console.WriteLine($"revoked: {string.Join(", ", serials)}; give all nodes {folder}/{FleetAuthority.RevokedFile}");
        }));
        return revoke;
    }

    private static Command CreateList()
    {
        var list = new Command("list", "List what was issued");
        list.SetAction(parsed => Guarded(() =>
        {
            using FleetAuthority authority = FleetAuthority.Open(parsed.GetValue(s_folder)!);
            IReadOnlyList<FleetCertificate> issued = authority.List();
            int width = issued.Select(c => c.Identity!.Name.Length).Append("NAME".Length).Max();
            System.Console.WriteLine($"{"NAME".PadRight(width)}  {"FOR",-8}  {"UNTIL",-10}  {"SERIAL",-32}  HOSTS");
            foreach (FleetCertificate one in issued)
            {
                System.Console.WriteLine($"{one.Identity!.Name.PadRight(width)}  {For(one.Identity),-8}  {Day(one.NotAfter)}  "
                    + $"{one.Serial,-32}  {string.Join(", ", one.Hosts)}{(one.IsDue(DateTimeOffset.UtcNow) ? " (to be renewed)" : "")}");
            }
        }));
        return list;
    }

    private static void Tell(FleetAuthority authority, FleetCertificate issued)
    {
        (string certificate, string key) = authority.FilesOf(issued.Identity!.Name);
        System.Console.WriteLine($"{certificate} and {key}, valid until {Day(issued.NotAfter)}");
    }

    private static string Roles => string.Join(", ", Enum.GetNames<FleetRole>()).ToLowerInvariant();

    private static FleetRole RoleOf(string word) => Enum.GetNames<FleetRole>().Contains(word, StringComparer.OrdinalIgnoreCase)
        ? Enum.Parse<FleetRole>(word, ignoreCase: true)
        : throw new CertificateException($"'{word}' is no role: one of {Roles} is expected");

    private static string For(FleetIdentity identity) => (identity.Role?.ToString() ?? "node").ToLowerInvariant();

    private static string Day(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static Task<int> Guarded(Action act)
    {
        try
        {
            act();
            return Task.FromResult(ExitCode.Success);
        }
        catch (CertificateException e)
        {
            return Complaint.Write(e.Message);
        }
    }
}
