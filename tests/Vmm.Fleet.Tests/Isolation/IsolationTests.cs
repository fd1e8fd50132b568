using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Akka.Actor;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Tests.Nodes;

namespace Vmm.Fleet.Tests.Isolation;

/// <summary>What processes of VMs reach of their host, by real processes. The host must have Landlock.</summary>
public sealed class IsolationTests : NodeTestKit
{
    private const string Vm = "vm1";

    private readonly NodeSettings _settings;
    private readonly VmFolder _folder;
    private readonly string _tokens;
    private readonly string _other;

    public IsolationTests()
    {
        _settings = Settings(NewFolder());
        _folder = Made(Vm);
        _tokens = Path.Combine(_settings.Folder, "tokens");
        File.WriteAllText(_tokens, "secret\n");
        _other = Path.Combine(Made("other").State, "ram");
        Directory.CreateDirectory(Path.GetDirectoryName(_other)!);
        File.WriteAllText(_other, "memory of a guest\n");
    }

    private VmFolder Made(string vm)
    {
        VmFolder folder = _settings.FolderOf(vm);
        Directory.CreateDirectory(folder.Root);
        return folder;
    }

    private VmProcess Launch(NodeSettings settings, params string[] command) =>
        VmProcess.Launch(_folder, command, new VmConfinement(settings, _folder, Idle));

    // What a script in the place of the VM's program has printed: a line for each command, whether it succeeds.
    private async Task<string[]> TryAsync(NodeSettings settings, params string[] commands)
    {
        string script = string.Concat(commands.Select(c => $"({c}) >state/out 2>&1 && echo yes || echo no\n"));
        VmProcess process = Launch(settings, "sh", "-c", $"{script}exit 7");
        Assert.Equal(7, await process.Ended.WaitAsync(Patience.Limit));
        return await File.ReadAllLinesAsync(_folder.Log);
    }

    [Fact]
    public async Task Process_reaches_its_own_files_and_those_of_the_system()
    {
        string[] commands =
        [
            "mkdir state/d && echo x >state/d/f && mv state/d/f state/f && ln state/f state/g && rm state/g",
            "cat /etc/hosts", "cat /proc/self/status", $"cat {Idle.Kernel}", "ls /usr/bin", "echo x >/dev/null", "kill -0 $$",
            "grep -q 'NoNewPrivs:.1' /proc/self/status",
        ];
        Assert.Equal(Enumerable.Repeat("yes", commands.Length), await TryAsync(_settings, commands));

        // Whoever has started it is as free as before.
        Assert.Equal("secret\n", await File.ReadAllTextAsync(_tokens));
        Assert.Contains("NoNewPrivs:\t0", await File.ReadAllTextAsync("/proc/self/status"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Process_reaches_nothing_else()
    {
        string[] commands =
        [
            $"cat {_tokens}", $"cat {_other}", $"echo x >>{_other}", $"ln {_other} state/stolen", $"ls {_settings.Folder}", "ls /etc",
            "cat /etc/shadow", "ls /", "ls /root", "ls /dev", $"echo x >{Idle.Kernel}", "echo x >process", "mv state process",
            $"ln -s {_tokens} state/link", "mkdir d", "mknod state/null c 1 3", $"kill -0 {Environment.ProcessId}",
            $"ls /proc/{Environment.ProcessId}/cwd/",
        ];
        string[] ended = await TryAsync(_settings, commands);
        Assert.Equal(commands.Select(c => $"no {c}"), ended.Zip(commands, (e, c) => $"{e} {c}"));

        // Each of them fails by the rules alone.
        string[] all = await TryAsync(
            _settings with { Landlock = IsolationUse.Off }, $"cat {_tokens}", "ls /etc", $"ln -s {_tokens} state/link",
            $"kill -0 {Environment.ProcessId}", $"ls /proc/{Environment.ProcessId}/cwd/");
        Assert.Equal(["yes", "yes", "yes", "yes", "yes"], all);
    }

    [Fact]
    public async Task Process_that_cannot_be_started_says_why()
    {
        VmProcess process = Launch(_settings, "/nonexistent/program");
        Assert.Equal(127, await process.Ended.WaitAsync(Patience.Limit));
        Assert.Contains("/nonexistent/program", _folder.LastLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void VM_that_is_to_write_elsewhere_says_so_and_goes_on()
    {
        IActorRef node = StartNode(_settings);
        Assert.Equal(RequestOutcome.Done, Do(node, new RunVm(Vm, NewId(), Idle)).Outcome);
        Await(node, Vm, ProcessState.Running);
        string target = Path.Combine(_settings.Folder, "stolen");
        RequestEnded end = Do(node, new SendVm(Vm, NewId(), $"file:{target}"));
        Assert.Equal(RequestOutcome.Failed, end.Outcome);
        Assert.Contains("Permission denied", end.Detail, StringComparison.Ordinal);
        Assert.False(File.Exists(target));
        Assert.Equal(ProcessState.Running, Await(node, Vm, ProcessState.Running).State);
        Assert.Equal(RequestOutcome.Done, Do(node, new SaveVm(Vm, NewId(), "tag")).Outcome);
    }

    [Fact]
    public async Task Monitor_command_that_names_a_file_elsewhere_gets_one_line()
    {
        VmProcess process = Launch(
            _settings, [.. VmCommandLine.Of(_settings, _folder, Idle, ["-monitor", "unix:monitor,server=on,wait=off"])]);
        string path = Path.Combine(_folder.Root, "monitor");
        Patience.Until(() => File.Exists(path), "its monitor is there");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        await using var stream = new NetworkStream(socket);
        foreach ((string command, string answer) in ((string, string)[])
        [
            ($"pmemsave 0x40000000 4096 \"{_settings.Folder}/stolen\"", "Permission denied"),
            ($"drive_add 0 file={_other},if=none,id=d,format=raw", "Permission denied"),
            ("pmemsave 0x40000000 4096 \"state/mine\"", "(vmm)"),
            ("info status", "VM status: running"),
        ])
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"{command}\n"));
            Assert.Contains(answer, await ReadAsync(stream, answer), StringComparison.Ordinal);
        }

        Assert.Equal(4096, new FileInfo(Path.Combine(_folder.State, "mine")).Length);
        Assert.False(File.Exists($"{_settings.Folder}/stolen"));
        process.Kill();
        await process.Ended.WaitAsync(Patience.Limit);
    }

    private static async Task<string> ReadAsync(NetworkStream stream, string until)
    {
        var read = new StringBuilder();
        byte[] buffer = new byte[4096];
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (!read.ToString().Contains(until, StringComparison.Ordinal))
        {
            int length = await stream.ReadAsync(buffer, patience.Token);
            Assert.True(length > 0, read.ToString());
            read.Append(Encoding.UTF8.GetString(buffer, 0, length));
        }

        return read.ToString();
    }

    /// <summary>The header of an image is the VM's to write, so what it names is given only as it was at first.</summary>
    [Fact]
    public void Image_opens_the_backing_file_it_had_at_first_and_no_other()
    {
        IActorRef node = StartNode(_settings);
        string disks = NewFolder(), image = Path.Combine(disks, "disk.qcow2");
        string backing = Path.Combine(NewFolder(), "base.raw");
        File.WriteAllBytes(backing, new byte[1 << 20]);
        BlockImage.CreateQcow2(image, new Qcow2Options { BackingFile = backing, BackingFormat = "raw" });
        VmSpec spec = Idle with { Disks = [image] };
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, NewId(), spec))));
        Assert.Equal(RequestOutcome.Done, Do(node, new EndVm(Vm, NewId(), 0)).Outcome);

        string secret = Path.Combine(_settings.Folder, "secret");
        File.WriteAllBytes(secret, new byte[1 << 20]);
        File.Delete(image);
        BlockImage.CreateQcow2(image, new Qcow2Options { BackingFile = secret, BackingFormat = "raw" });
        RequestEnded end = Do(node, new RunVm(Vm, NewId(), spec));
        Assert.Equal(RequestOutcome.Failed, end.Outcome);
        Assert.Contains("Permission denied", end.Detail, StringComparison.Ordinal);
        Assert.Contains(secret, end.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", IsolationUse.Auto)]
    [InlineData(""", "landlock": "auto" """, IsolationUse.Auto)]
    [InlineData(""", "landlock": "off" """, IsolationUse.Off)]
    [InlineData(""", "landlock": "required" """, IsolationUse.Required)]
    [InlineData(""", "landlock": "on" """, null)]
    public void File_of_a_node_says_whether(string member, IsolationUse? expected)
    {
        string file = Path.Combine(_settings.Folder, "node.json");
        File.WriteAllText(file, $$"""{ "name": "n", "folder": "/tmp/n"{{member}} }""");
        if (expected == null)
        {
            Assert.Contains("landlock", Assert.Throws<NodeConfigException>(() => NodeConfig.Load(file)).Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(expected, NodeConfig.Load(file).Landlock);
        }
    }

    private static (RequestOutcome Outcome, string Detail) Of(RequestEnded end) => (end.Outcome, end.Detail);
}
