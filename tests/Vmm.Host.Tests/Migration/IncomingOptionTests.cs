using Vmm.Host.Options;

namespace Vmm.Host.Tests.Migration;

public sealed class IncomingOptionTests
{
    [Theory]
    [InlineData("defer")]
    [InlineData("tcp:0:4444")]
    [InlineData("tcp:[::1]:0")]
    [InlineData("unix:/tmp/x")]
    [InlineData("exec:gzip -dc x")]
    [InlineData("fd:7")]
    [InlineData("file:/tmp/x,offset=1M")]
    public void Addresses_of_QEMU_are_taken(string address)
    {
        RunOptions options = CommandLine.Parse(["-S", "-only-migratable", "-incoming", "tcp:1:1", "-incoming", address]);
        Assert.Equal(address, options.Incoming);
        Assert.True(options.Stopped);
    }

    [Theory]
    [InlineData("""{"transport":"socket","type":"inet","host":"h","port":"4444"}""", "tcp:h:4444")]
    [InlineData("""{"transport":"socket","type":"unix","path":"/tmp/x"}""", "unix:/tmp/x")]
    [InlineData("""{"transport":"file","filename":"/tmp/x","offset":0}""", "file:/tmp/x,offset=0")]
    public void Channels_of_type_main_are_taken(string channel, string address) =>
        Assert.Equal(address, CommandLine.Parse(["-incoming", $$"""{"channel-type":"main","addr":{{channel}}}"""]).Incoming);

    [Theory]
    [InlineData("foo", "-incoming foo: unknown migration protocol: foo; there are tcp:HOST:PORT")]
    [InlineData("tcp:foo", "-incoming tcp:foo: error parsing address 'foo'")]
    [InlineData("{\"channel-type\":\"main\"}", "Parameter 'addr' is missing")]
    [InlineData("{\"channel-type\":\"main\"", "JSON parse error, premature EOI")]
    [InlineData("{\"channel-type\":\"cpr\",\"addr\":{\"transport\":\"socket\",\"type\":\"unix\",\"path\":\"x\"}}",
        "not supported: a channel of type 'cpr'")]
    [InlineData("{\"channel-type\":\"main\",\"addr\":{\"transport\":\"socket\",\"type\":\"vsock\",\"cid\":\"3\",\"port\":\"4\"}}",
        "not supported: a socket of type 'vsock'")]
    [InlineData("{\"channel-type\":\"main\",\"addr\":{\"transport\":\"tape\"}}", "does not accept value 'tape'")]
    [InlineData("rdma:h:1", "-incoming rdma:h:1: not supported: rdma:")]
    public void Others_are_refused_in_one_line(string address, string message)
    {
        string said = Assert.Throws<OptionException>(() => CommandLine.Parse(["-incoming", address])).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Fact]
    public void Machine_comes_from_a_snapshot_or_from_a_migration() => Assert.Equal(
        "'incoming' and 'loadvm' options are mutually exclusive",
        Assert.Throws<OptionException>(() => CommandLine.Parse(["-state", "s", "-loadvm", "t", "-incoming", "defer"])).Message);
}
