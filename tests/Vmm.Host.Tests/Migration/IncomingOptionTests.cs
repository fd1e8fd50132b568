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
    [InlineData("foo", "-incoming foo: unknown migration protocol: foo; there are tcp:HOST:PORT")]
    [InlineData("tcp:foo", "-incoming tcp:foo: error parsing address 'foo'")]
    [InlineData("{\"channel-type\":\"main\"}", "not supported: a channel as JSON; there are defer, tcp:HOST:PORT")]
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
