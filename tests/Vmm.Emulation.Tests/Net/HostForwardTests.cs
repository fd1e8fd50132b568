using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;

namespace Vmm.Emulation.Tests.Net;

/// <summary>Rules of forwarding, in QEMU's words (net/slirp.c, slirp_hostfwd).</summary>
public sealed class HostForwardTests
{
    [Theory]
    [InlineData("tcp::2222-:22", "tcp::2222-:22")]
    [InlineData("::2222-:22", "tcp::2222-:22")]
    [InlineData("udp:127.0.0.1:53-10.0.2.20:5353", "udp:127.0.0.1:53-10.0.2.20:5353")]
    public void Rules_are_read(string rule, string read) => Assert.Equal(read, HostForward.Parse(rule).ToString());

    [Theory]
    [InlineData("tcp", "No : separators")]
    [InlineData("icmp::1-:1", "Bad protocol name")]
    [InlineData("tcp:1-:1", "Missing : separator")]
    [InlineData("tcp:here:1-:1", "Bad host address")]
    [InlineData("tcp::x-:1", "Bad host port")]
    [InlineData("tcp::65536-:1", "Bad host port")]
    [InlineData("tcp::1", "Bad host port")]
    [InlineData("tcp::1-2", "Missing guest address")]
    [InlineData("tcp::1-there:2", "Bad guest address")]
    [InlineData("tcp::1-:0", "Bad guest port")]
    [InlineData("tcp::1-:65536", "Bad guest port")]
    public void Rules_that_are_none_say_why(string rule, string why) => Assert.Equal(
        $"Invalid host forwarding rule '{rule}' ({why})", Assert.Throws<NetException>(() => HostForward.Parse(rule)).Message);
}
