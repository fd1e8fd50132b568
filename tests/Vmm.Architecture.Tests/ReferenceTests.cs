using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using ArchUnitNET.Loader;
using ArchUnitNET.xUnit;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards.Virt;
using Vmm.Host;
using Vmm.Management.Commands;
using static ArchUnitNET.Fluent.ArchRuleDefinition;
using Assembly = System.Reflection.Assembly;
using Type = System.Type;

namespace Vmm.Architecture.Tests;

/// <summary>Which assembly may refer to which (ARCHITECTURE.md).</summary>
public sealed class ReferenceTests
{
    private static readonly Assembly s_acpi = Assembly.Load("Vmm.Acpi");
    private static readonly Assembly s_emulation = typeof(VirtMachine).Assembly;
    private static readonly Assembly s_actors = typeof(VmSupervisor).Assembly;
    private static readonly Assembly s_management = typeof(MonitorCommands).Assembly;
    private static readonly Assembly s_fleet = Assembly.Load("Vmm.Fleet");
    private static readonly Assembly s_host = typeof(VmSession).Assembly;

    private static readonly Lazy<ArchUnitNET.Domain.Architecture> s_managementTypes =
        new(() => new ArchLoader().LoadAssemblies(s_management).Build());

    private static string[] References(Assembly assembly, params string[] prefixes) =>
        [.. assembly.GetReferencedAssemblies().Select(a => a.Name!).Where(n => prefixes.Any(p => n.StartsWith(p, StringComparison.Ordinal)))
            .Order()];

    [Fact]
    public void Acpi_refers_to_nothing_but_the_runtime() =>
        Assert.All(s_acpi.GetReferencedAssemblies(), a => Assert.StartsWith("System.", a.Name, StringComparison.Ordinal));

    [Fact]
    public void Emulation_refers_to_Acpi_alone_and_to_no_Akka() =>
        Assert.Equal(["Vmm.Acpi"], References(s_emulation, "Vmm", "vmm", "Akka"));

    [Fact]
    public void Actors_refer_to_neither_management_nor_host() =>
        Assert.Equal(["Vmm.Acpi", "Vmm.Emulation"], References(s_actors, "Vmm", "vmm").Append("Vmm.Acpi").Distinct().Order());

    [Fact]
    public void Management_refers_to_the_actors_and_what_they_run_and_to_no_host()
    {
        string[] references = References(s_management, "Vmm", "vmm", "Akka");
        Assert.Contains("Vmm.Actors", references);
        Assert.Empty(references.Except(["Vmm.Actors", "Vmm.Emulation", "Akka"]));
    }

    [Fact]
    public void Fleet_refers_to_actors_and_management_and_to_neither_emulation_nor_host() =>
        Assert.Empty(References(s_fleet, "Vmm", "vmm").Except(["Vmm.Actors", "Vmm.Management"]));

    /// <summary>A VM knows nothing of the cluster, whose assemblies are loaded with the fleet's alone.</summary>
    [Fact]
    public void Only_the_fleet_refers_to_the_cluster_and_its_store() => Assert.All(
        (Assembly[])[s_acpi, s_emulation, s_actors, s_management, s_host],
        a => Assert.Empty(References(a, "Akka.Cluster", "Akka.Persistence", "Npgsql", "linq2db")));

    /// <summary>An actor waits for no answer: whoever stands outside asks.</summary>
    [Fact]
    public void Only_the_host_and_management_ask_actors()
    {
        Assert.False(Asks(s_actors));
        Assert.True(Asks(s_host));
    }

    private static bool Asks(Assembly assembly)
    {
        using var file = new PEReader(File.OpenRead(assembly.Location));
        MetadataReader metadata = file.GetMetadataReader();
        return metadata.MemberReferences.Select(metadata.GetMemberReference).Any(m =>
            metadata.GetString(m.Name) == "Ask" && m.Parent.Kind == HandleKind.TypeReference
            && metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)m.Parent).Name) == "Futures");
    }

    [Fact]
    public void Management_has_the_rooms_of_the_design() => Assert.Equal(
        new[] { "Certificates", "CharacterDevices", "Commands", "Control", "Hmp", "Json", "Qapi", "Qmp", "Text" }
            .Select(room => $"Vmm.Management.{room}"),
        s_management.GetTypes().Select(t => t.Namespace).Where(n => n?.StartsWith("Vmm.", StringComparison.Ordinal) == true).Distinct()
            .Order());

    /// <summary>
    /// Parts that carry commands know none of them, command families know no face (QMP, HMP, Control), and no face knows another: a further
    /// face changes none of them.
    /// </summary>
    [Theory]
    [InlineData("Certificates", "CharacterDevices|Commands|Control|Hmp|Json|Qapi|Qmp|Text")]
    [InlineData("Json", "CharacterDevices|Commands|Control|Hmp|Qapi|Qmp|Text")]
    [InlineData("Text", "CharacterDevices|Commands|Control|Hmp|Json|Qapi|Qmp")]
    [InlineData("CharacterDevices", "Commands|Control|Hmp|Json|Qapi|Qmp")]
    [InlineData("Qapi", "CharacterDevices|Commands|Control|Hmp|Qmp")]
    [InlineData("Commands", "Control|Hmp|Qmp")]
    [InlineData("Hmp", "Control|Qmp")]
    [InlineData("Qmp", "Control|Hmp")]
    [InlineData("Control", "Hmp|Json|Qapi|Qmp")]
    public void Rooms_of_management_refer_one_way(string room, string others) =>
        Types().That().ResideInNamespaceMatching($"^Vmm\\.Management\\.{room}$").Should()
            .NotDependOnAny(Types().That().ResideInNamespaceMatching($"^Vmm\\.Management\\.({others})$"))
            .Check(s_managementTypes.Value);

    [Fact]
    public void Unsafe_code_is_in_Emulation_alone()
    {
        foreach (Assembly assembly in (Assembly[])[s_acpi, s_actors, s_management, s_fleet, s_host])
        {
            const BindingFlags All =
                BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            IEnumerable<MethodInfo> withPointers = assembly.GetTypes().SelectMany(t => t.GetMethods(All))
                .Where(m => m.ReturnType.IsPointer || m.GetParameters().Any(p => p.ParameterType.IsPointer));
            Assert.Empty(withPointers);
            Assert.DoesNotContain(assembly.Modules, m => m.GetCustomAttributes().Any(a => a.GetType().Name == "UnverifiableCodeAttribute"));
        }

        Assert.Contains(s_emulation.Modules, m => m.GetCustomAttributes().Any(a => a.GetType().Name == "UnverifiableCodeAttribute"));
    }

    [Fact]
    public void Protocol_messages_are_sealed_records_of_primitives_and_enums_of_theirs()
    {
        Type[] allowed =
        [
            typeof(int), typeof(long), typeof(ulong), typeof(bool), typeof(string), typeof(string[]), typeof(int[]), typeof(long[]),
            typeof(byte[]), typeof(bool[]),
        ];
        Type[] messages = [.. s_actors.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(Actors.Protocol.IProtocolMessage)))];
        Assert.NotEmpty(messages);
        Assert.All(messages, m => Assert.True(m.IsSealed, m.Name));
        Assert.All(messages.SelectMany(m => m.GetProperties(BindingFlags.Instance | BindingFlags.Public)), p =>
        {
            Type one = p.PropertyType.GetElementType() ?? p.PropertyType;
            Assert.True(allowed.Contains(p.PropertyType)
                || (one.IsEnum && one.Namespace == typeof(Actors.Protocol.IProtocolMessage).Namespace), $"{p}");
        });
    }
}
