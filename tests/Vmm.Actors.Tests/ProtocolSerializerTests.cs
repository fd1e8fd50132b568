using System.Reflection;
using System.Runtime.Serialization;
using System.Text;
using System.Text.Json;
using Akka.Actor;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Serialization;

namespace Vmm.Actors.Tests;

public sealed class ProtocolSerializerTests : TestKit
{
    public ProtocolSerializerTests()
        : base(VmConfiguration.Load())
    {
    }

    public static TheoryData<Type> Messages() =>
        [.. typeof(IProtocolMessage).Assembly.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(IProtocolMessage)))];

    [Theory]
    [MemberData(nameof(Messages))]
    public void Message_survives_the_round_trip(Type type)
    {
        Assert.True(type.IsSealed);
        ConstructorInfo constructor = type.GetConstructors().Single();
        object message = constructor.Invoke([.. constructor.GetParameters().Select((p, i) => Sample(p.ParameterType, i))]);
        var serializer = (ProtocolSerializer)Sys.Serialization.FindSerializerFor(message);

        object back = serializer.FromBinary(serializer.ToBinary(message), serializer.Manifest(message));

        Assert.IsType(type, back);
        Assert.Equal(JsonSerializer.Serialize(message, type), JsonSerializer.Serialize(back, type));
    }

    [Theory]
    [InlineData("", "{}")]
    [InlineData("System.Diagnostics.Process", "{}")]
    [InlineData("hp", "not json")]
    [InlineData("hp", "null")]
    [InlineData("hp", """{"Id":null,"Cpu":1}""")]
    [InlineData("hp", """{"Id":"core1"}""")]
    [InlineData("m!", """{"RunState":"running","Detail":""}""")]
    [InlineData("m!2", """{"RunState":"running!","Detail":""}""")]
    [InlineData("m!2", """{"RunState":1,"Detail":""}""")]
    public void What_is_no_message_is_refused(string manifest, string payload)
    {
        var serializer = new ProtocolSerializer((ExtendedActorSystem)Sys);
        Assert.Throws<SerializationException>(() => serializer.FromBinary(Encoding.UTF8.GetBytes(payload), manifest));
    }

    /// <summary>The journal is on disk: what earlier versions wrote is read for good.</summary>
    [Theory]
    [InlineData("jp", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(PlugStarted))]
    [InlineData("jc", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(PlugConfirmed))]
    [InlineData("jr", """{"Id":"core4","Cpu":4,"OstStatus":1,"At":1764000000000}""", typeof(PlugRefused))]
    [InlineData("ju", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(UnplugStarted))]
    [InlineData("jf", """{"Id":"core4","Cpu":4,"OstStatus":130,"At":1764000000000}""", typeof(UnplugRefused))]
    [InlineData("jd", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(UnplugCompleted))]
    [InlineData("jt", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(HotplugTimedOut))]
    [InlineData("jx", """{"Id":"core4","Cpu":4,"At":1764000000000}""", typeof(HotplugCancelled))]
    [InlineData("ja", """{"Id":"cpu-4","Cpu":4,"At":1764000000000}""", typeof(EnableStarted))]
    [InlineData("jb", """{"Id":"cpu-4","Cpu":4,"At":1764000000000}""", typeof(DisableStarted))]
    [InlineData("jz", """{"Id":"cpu-4","Cpu":4,"At":1764000000000}""", typeof(DisableCompleted))]
    public void Journal_of_an_earlier_version_is_read(string manifest, string json, Type type)
    {
        var serializer = new ProtocolSerializer((ExtendedActorSystem)Sys);
        object e = serializer.FromBinary(Encoding.UTF8.GetBytes(json), manifest);
        Assert.IsType(type, e);
        Assert.Equal(json, JsonSerializer.Serialize(e, type));
        Assert.Equal(manifest, serializer.Manifest(e));
    }

    /// <summary>A VM of another version says so: its description is readable before and after.</summary>
    [Fact]
    public void Machine_description_of_version_1_is_read()
    {
        const string json = """
            {"CpuModel":"max","EnabledCpus":1,"Sockets":1,"Clusters":1,"Cores":2,"Threads":1,
            "MemoryBytes":1,"Acpi":true,"Name":"","Uuid":"","More":1}
            """;
        Assert.Equal(1, ((MachineDescription)ProtocolSerializer.Decode(Encoding.UTF8.GetBytes(json), "mD")).Protocol);
    }

    /// <summary>A client of an earlier build knows no traces.</summary>
    [Fact]
    public void Plug_without_a_trace_is_read() =>
        Assert.Equal(new PlugVcpu("core1", 1), ProtocolSerializer.Decode("""{"Id":"core1","Cpu":1}"""u8.ToArray(), "hp"));

    private static object Sample(Type type, int position) =>
        type == typeof(string) ? $"text {position} \u00e9\n"
        : type == typeof(string[]) ? new[] { "a", "b" }
        : type == typeof(int[]) ? new[] { 1, -2 }
        : type == typeof(long[]) ? new[] { long.MaxValue, -2 }
        : type == typeof(byte[]) ? new byte[] { 0, 255 }
        : type == typeof(bool[]) ? new[] { true, false }
        : type == typeof(ulong) ? ulong.MaxValue - (ulong)position
        : type == typeof(bool) ? true
        : type.IsArray && type.GetElementType()!.IsEnum ? Enum.GetValues(type.GetElementType()!)
        : type.IsEnum ? Enum.GetValues(type).GetValue(position % Enum.GetValues(type).Length)!
        : Convert.ChangeType(1000 + position, type, null);
}
