using System.Reflection;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards.Virt;
using Vmm.Host;

namespace Vmm.Architecture.Tests;

/// <summary>Which assembly may refer to which (ARCHITECTURE.md).</summary>
public sealed class ReferenceTests
{
    private static readonly Assembly s_acpi = Assembly.Load("Vmm.Acpi");
    private static readonly Assembly s_emulation = typeof(VirtMachine).Assembly;
    private static readonly Assembly s_actors = typeof(VmSupervisor).Assembly;
    private static readonly Assembly s_host = typeof(VmSession).Assembly;

    private static string[] References(Assembly assembly, params string[] prefixes) =>
        [.. assembly.GetReferencedAssemblies().Select(a => a.Name!).Where(n => prefixes.Any(p => n.StartsWith(p, StringComparison.Ordinal))).Order()];

    [Fact]
    public void Acpi_refers_to_nothing_but_the_runtime() =>
        Assert.All(s_acpi.GetReferencedAssemblies(), a => Assert.StartsWith("System.", a.Name, StringComparison.Ordinal));

    [Fact]
    public void Emulation_refers_to_Acpi_alone_and_to_no_Akka() => Assert.Equal(["Vmm.Acpi"], References(s_emulation, "Vmm", "vmm", "Akka"));

    [Fact]
    public void Actors_do_not_refer_to_the_host() => Assert.DoesNotContain("vmm", References(s_actors, "Vmm", "vmm"));

    [Fact]
    public void Unsafe_code_is_in_Emulation_alone()
    {
        foreach (Assembly assembly in (Assembly[])[s_acpi, s_actors, s_host])
        {
            const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
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
        Type[] allowed = [typeof(int), typeof(long), typeof(ulong), typeof(bool), typeof(string), typeof(string[]), typeof(int[]), typeof(byte[])];
        Type[] messages = [.. s_actors.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(Actors.Protocol.IProtocolMessage)))];
        Assert.NotEmpty(messages);
        Assert.All(messages, m => Assert.True(m.IsSealed, m.Name));
        Assert.All(messages.SelectMany(m => m.GetProperties(BindingFlags.Instance | BindingFlags.Public)), p =>
        {
            Type one = p.PropertyType.GetElementType() ?? p.PropertyType;
            Assert.True(allowed.Contains(p.PropertyType) || (one.IsEnum && one.Namespace == typeof(Actors.Protocol.IProtocolMessage).Namespace), $"{p}");
        });
    }

    [Fact]
    public void Devices_refer_neither_to_each_other_nor_to_the_machine()
    {
        const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        const string Devices = "Vmm.Emulation.Devices.";
        foreach (Type device in s_emulation.GetTypes().Where(t => t.Namespace?.StartsWith(Devices, StringComparison.Ordinal) == true))
        {
            IEnumerable<Type> used = device.GetFields(All).Select(f => f.FieldType)
                .Concat(device.GetMethods(All).SelectMany(m => m.GetParameters().Select(p => p.ParameterType).Append(m.ReturnType)))
                .Concat(device.GetConstructors(All).SelectMany(c => c.GetParameters()).Select(p => p.ParameterType));
            Assert.DoesNotContain(used, t => t.Namespace == "Vmm.Emulation.Boards"
                || (t.Namespace?.StartsWith(Devices, StringComparison.Ordinal) == true && t.Namespace != device.Namespace));
        }
    }
}
