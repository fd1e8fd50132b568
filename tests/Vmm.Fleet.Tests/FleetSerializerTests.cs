using System.Reflection;
using System.Runtime.Serialization;
using System.Text;
using System.Text.Json;
using Akka.Actor;
using Akka.TestKit.Xunit2;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Serialization;

namespace Vmm.Fleet.Tests;

public sealed class FleetSerializerTests : TestKit
{
    public static TheoryData<Type> Messages() =>
        [.. typeof(IFleetMessage).Assembly.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(IFleetMessage)))];

    [Theory]
    [MemberData(nameof(Messages))]
    public void Message_survives_the_round_trip(Type type)
    {
        Assert.True(type.IsSealed);
        object message = Sample(type);
        var serializer = new FleetSerializer((ExtendedActorSystem)Sys);
        object back = serializer.FromBinary(serializer.ToBinary(message), serializer.Manifest(message));
        Assert.IsType(type, back);
        Assert.Equal(JsonSerializer.Serialize(message, type), JsonSerializer.Serialize(back, type));
    }

    [Theory]
    [InlineData("", "{}")]
    [InlineData("System.Diagnostics.Process", "{}")]
    [InlineData("save", "null")]
    [InlineData("save", """{"Vm":null,"Id":"a","Tag":"b"}""")]
    [InlineData("save", """{"Vm":"a"}""")]
    [InlineData("cpu", """{"Vm":"a","Id":"b","Change":"Melt","Cpu":1}""")]
    public void What_is_no_message_is_refused(string manifest, string payload)
    {
        var serializer = new FleetSerializer((ExtendedActorSystem)Sys);
        Assert.Throws<SerializationException>(() => serializer.FromBinary(Encoding.UTF8.GetBytes(payload), manifest));
    }

    /// <summary>What a node of an earlier build says, or has kept, is read: it knows no traces.</summary>
    [Theory]
    [InlineData("resize", """{"Vm":"a","Id":"b","Cpus":2}""")]
    [InlineData("cpu", """{"Vm":"a","Id":"b","Change":"Plug","Cpu":1}""")]
    [InlineData("command", """{"Vm":"a","Id":"b","Action":"Resize","Number":2,"Text":"","Match":""}""")]
    public void Request_without_a_trace_is_read(string manifest, string payload)
    {
        object read = new FleetSerializer((ExtendedActorSystem)Sys).FromBinary(Encoding.UTF8.GetBytes(payload), manifest);
        Assert.Equal("", read is CommandVm command ? command.Trace : ((IVmRequest)read).Trace);
    }

    private static object Sample(Type type) =>
        type == typeof(string) ? "text" : type == typeof(int) ? 7 : type == typeof(long) ? 1L << 40 : type == typeof(bool) ? true
        : type == typeof(byte) ? (byte)9 : type == typeof(double) ? 0.5 : type == typeof(decimal) ? 1.25m
        : type == typeof(DateOnly) ? new DateOnly(2026, 11, 29)
        : type == typeof(DateTimeOffset) ? new DateTimeOffset(2026, 11, 29, 12, 0, 0, TimeSpan.Zero)
        : Nullable.GetUnderlyingType(type) is { } value ? Sample(value)
        : type.IsEnum ? Enum.GetValues(type).GetValue(1)!
        : type.IsArray ? Filled(type.GetElementType()!)
        : type.GetConstructors().Single() is var constructor
            ? constructor.Invoke([.. constructor.GetParameters().Select(p => Sample(p.ParameterType))])
        : throw new NotSupportedException(type.Name);

    private static Array Filled(Type element)
    {
        var array = Array.CreateInstance(element, 2);
        array.SetValue(Sample(element), 0);
        array.SetValue(Sample(element), 1);
        return array;
    }
}
