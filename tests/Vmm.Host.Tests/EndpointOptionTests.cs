using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class EndpointOptionTests
{
    [Theory]
    [InlineData("7777", "127.0.0.1", 7777)]
    [InlineData("0.0.0.0:1", "0.0.0.0", 1)]
    [InlineData("vm-1.example:65535", "vm-1.example", 65535)]
    public void Endpoint_is_taken(string text, string host, int port) =>
        Assert.Equal(new EndpointOption(host, port), EndpointOption.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("-1")]
    [InlineData(":7777")]
    [InlineData("host:")]
    [InlineData("host")]
    [InlineData("a\"b:7777")]
    [InlineData("a b:7777")]
    [InlineData("::1:7777")]
    public void What_is_no_endpoint_is_refused_in_one_line(string text)
    {
        string message = Assert.Throws<OptionException>(() => EndpointOption.Parse(text)).Message;
        Assert.DoesNotContain('\n', message);
    }
}
