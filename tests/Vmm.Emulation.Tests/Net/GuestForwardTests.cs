using System.Net;
using System.Net.Sockets;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;

namespace Vmm.Emulation.Tests.Net;

/// <summary>Rules of <c>guestfwd=</c>, as QEMU reads them.</summary>
public sealed class GuestForwardTests
{
    [Fact]
    public void Rules_lead_to_sockets_and_programs()
    {
        Assert.Equal(
            new GuestForward(IPAddress.Parse("10.0.2.100"), 80, "", new IPEndPoint(IPAddress.Loopback, 8080)),
            GuestForward.Parse("tcp:10.0.2.100:80-tcp:127.0.0.1:8080"));
        Assert.Equal(
            new GuestForward(IPAddress.Any, 1, "", new DnsEndPoint("a-host", 65535)), GuestForward.Parse("::1-tcp:a-host:65535"));
        Assert.Equal(
            new GuestForward(IPAddress.Parse("10.0.2.9"), 23, "cat -n; echo a:b", null),
            GuestForward.Parse(":10.0.2.9:23-cmd:cat -n; echo a:b"));
        Assert.IsType<UnixDomainSocketEndPoint>(GuestForward.Parse("tcp:10.0.2.9:23-unix:/tmp/a-b").Target);
    }

    [Theory]
    [InlineData("tcp:10.0.2.100:80", "Invalid guest forwarding rule 'tcp:10.0.2.100:80'")]
    [InlineData("udp:10.0.2.100:80-cmd:cat", "Invalid guest forwarding rule 'udp:10.0.2.100:80-cmd:cat'")]
    [InlineData("10.0.2.100:80-cmd:cat", "Invalid guest forwarding rule '10.0.2.100:80-cmd:cat'")]
    [InlineData("tcp:10.0.2.100:x-cmd:cat", "Invalid guest forwarding rule 'tcp:10.0.2.100:x-cmd:cat'")]
    [InlineData("tcp:10.0.2.100:0-cmd:cat", "Invalid guest forwarding rule 'tcp:10.0.2.100:0-cmd:cat'")]
    [InlineData("tcp:nowhere:80-cmd:cat", "Invalid guest forwarding rule 'tcp:nowhere:80-cmd:cat'")]
    [InlineData("tcp:10.0.2.100:80-pty", "not supported: guest forwarding rule 'tcp:10.0.2.100:80-pty'; there is "
        + "[tcp]:server:port-tcp:HOST:PORT, -unix:PATH or -cmd:COMMAND")]
    [InlineData("tcp:10.0.2.100:80-tcp:127.0.0.1", "not supported: guest forwarding rule 'tcp:10.0.2.100:80-tcp:127.0.0.1'; there is "
        + "[tcp]:server:port-tcp:HOST:PORT, -unix:PATH or -cmd:COMMAND")]
    public void What_is_no_rule_is_refused(string rule, string why) =>
        Assert.Equal(why, Assert.Throws<NetException>(() => GuestForward.Parse(rule)).Message);
}
