using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Vmm.Tests;

namespace Vmm.Host.Tests;

/// <summary><c>vmm remote</c> and what it talks to, each the program itself.</summary>
public sealed class RemoteCommandTests
{
    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [Fact]
    public async Task Nobody_there_is_said_in_one_line()
    {
        int port = FreePort();
        Assert.Equal((1, "", $"vmm: no VM answers at 127.0.0.1:{port}: Connection refused\n"),
            await VmmProcess.RunAsync(["remote", $"{port}", "info", "status"]));
        Assert.Equal((1, "", "vmm: no VM answers at nohost.invalid:4: Name or service not known\n"),
            await VmmProcess.RunAsync(["remote", "nohost.invalid:4", "info", "status"]));
    }

    /// <summary>A peer that is no Vmm: it hangs up, greets as others do, or answers a few bytes that are no frame.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("SSH-2.0-OpenSSH_9.2p1\r\n")]
    [InlineData("\u0005\0\0\0hello")]
    public async Task Another_program_there_is_said_in_one_line(string? greeting)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var clients = new List<TcpClient>();
        _ = Task.Run(async () =>
        {
            while (true)
            {
                TcpClient client = await listener.AcceptTcpClientAsync();
                clients.Add(client);
                if (greeting == null)
                {
                    client.Dispose();
                }
                else
                {
                    await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(greeting));
                }
            }
        });
        Assert.Equal(
            (1, "", $"vmm: no VM answers at 127.0.0.1:{port}: what is there is no VM that runs with --remote, or it has ended\n"),
            await VmmProcess.RunAsync(["remote", $"{port}", "info", "status"]));
    }

    [Fact]
    public async Task Address_that_cannot_be_is_said_in_one_line()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        Assert.Equal((1, "", $"vmm: cannot listen at 127.0.0.1:{port}: Address already in use\n"),
            await VmmProcess.RunAsync(["-machine", "none", "-remote", $"{port}"]));
        Assert.Equal((1, "", "vmm: cannot listen at nohost.invalid:4000: Name or service not known\n"),
            await VmmProcess.RunAsync(["-machine", "none", "-remote", "nohost.invalid:4000"]));

        // TEST-NET-1 of RFC 5737: nobody's.
        Assert.Equal((1, "", "vmm: cannot listen at 192.0.2.1:4000: Cannot assign requested address\n"),
            await VmmProcess.RunAsync(["-machine", "none", "-remote", "192.0.2.1:4000"]));
    }

    /// <summary>A guest without an operating system whose CPU waits for an interrupt, or does not.</summary>
    [Theory]
    [InlineData(0xD503207Fu, "standby")]
    [InlineData(0xD503201Fu, "on")]
    public async Task Power_state_of_a_CPU_is_standby_while_it_waits_in_WFI(uint waitOrNop, string state)
    {
        string image = Path.GetTempFileName();
        const uint branchBack = 0x17FFFFFF;
        await File.WriteAllBytesAsync(image, [.. BitConverter.GetBytes(waitOrNop), .. BitConverter.GetBytes(branchBack)]);
        int port = FreePort();
        using Process vm = VmmProcess.Start(["-m", "64M", "-kernel", image, "-remote", $"{port}", "-serial", "none"]);
        try
        {
            // It may answer before the guest has come so far.
            var patience = Stopwatch.StartNew();
            (int ExitCode, string Output, string Errors) answer;
            do
            {
                answer = await VmmProcess.RunAsync(["remote", $"{port}", "info", "cpus-powerstate"]);
                Assert.False(vm.HasExited);
                Assert.True(patience.Elapsed < Patience.Limit, answer.ToString());
            }
            while (!answer.Output.EndsWith($"admin-state: \"enabled\"\n    oper-state: \"{state}\"\n", StringComparison.Ordinal));
        }
        finally
        {
            using Process kill = Process.Start("kill", [$"{vm.Id}"]);
            await vm.WaitForExitAsync();
            File.Delete(image);
        }
    }

    /// <summary>
    /// Exit codes say whether a command was done, and bytes that are no message cost the VM nothing and its terminal no line.
    /// </summary>
    [Fact]
    public async Task Commands_that_fail_are_told_by_the_exit_code_and_garbage_by_no_line()
    {
        int port = FreePort();
        using Process vm = VmmProcess.Start(["-machine", "none", "-remote", $"{port}", "-serial", "none"]);
        try
        {
            (int ExitCode, string Output, string Errors) answer;
            do
            {
                answer = await VmmProcess.RunAsync(["remote", $"{port}", "info", "status"]);
                Assert.False(vm.HasExited);
            }
            while (answer.ExitCode != 0);
            Assert.Equal("VM status: running\n", answer.Output);
            byte[] random = new byte[300];
            new Random(1).NextBytes(random);
            foreach (byte[] garbage in (byte[][])[random, "GET / HTTP/1.1\r\n\r\n"u8.ToArray(),
                "\u0005\0\0\0hello\u0005\0\0\0world"u8.ToArray(), [.. Enumerable.Repeat((byte)0xFF, 1000)], []])
            {
                using var client = new TcpClient("127.0.0.1", port);
                try
                {
                    await client.Client.SendAsync(garbage);
                    client.Client.Shutdown(SocketShutdown.Send);
                    await client.Client.ReceiveAsync(new byte[1]);
                }
                catch (SocketException)
                {
                    // The VM has hung up, as it should, before it has taken everything.
                }
            }

            foreach ((string command, string said) in ((string, string)[])[
                ("frobnicate", "unknown command: 'frobnicate'"), ("info frobnicate", "unknown command: 'info frobnicate'"),
                ("help frobnicate", "unknown command: 'frobnicate'"),
                ("xp /4xw 0", "0000000000000000: Cannot access memory"), ("cpu 7", "invalid CPU index"),
                ("info registers 9", "CPU#9 not available"), ("info registers -1", "CPU#-1 not available"),
                ("device_del frobnicate", "Error: Device 'frobnicate' not found")])
            {
                Assert.Equal((1, $"{said}\n", ""), await VmmProcess.RunAsync(["remote", $"{port}", .. command.Split(' ')]));
            }

            Assert.Equal((0, "VM status: running\n", ""), await VmmProcess.RunAsync(["remote", $"{port}", "info", "status"]));
        }
        finally
        {
            using Process kill = Process.Start("kill", [$"{vm.Id}"]);
            await vm.WaitForExitAsync();
        }

        Assert.Equal(("", 0), (await vm.StandardError.ReadToEndAsync(), vm.ExitCode));
    }
}
