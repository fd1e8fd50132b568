using System.Net.Sockets;
using System.Threading.Channels;
using Vmm.Actors.Protocol;
using Vmm.Management.Control;

namespace Vmm.Management.Tests.Control;

public sealed class ControlServerTests
{
    private static readonly VmStatus s_running = new(VmRunState.Running, "");

    private static Task<IProtocolMessage> Ask(ControlClient client, IProtocolMessage request) =>
        client.AskAsync(request, CancellationToken.None).WaitAsync(Patience.Limit);

    [Fact]
    public async Task Socket_is_its_owners_alone_and_greets()
    {
        await using var vm = new FakeControlVm();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(vm.Path).UnixFileMode);
        await using ControlClient client = await vm.ConnectAsync();
        Assert.Equal(new ControlGreeting(ProtocolVersion.Current, Environment.ProcessId), client.Greeting);
    }

    [Fact]
    public async Task Request_that_takes_long_holds_up_no_other()
    {
        await using var vm = new FakeControlVm();
        await using ControlClient client = await vm.ConnectAsync();
        Task<IProtocolMessage> plug = Ask(client, new PlugVcpu("core1", 1));
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(s_running, await Ask(client, new GetVmStatus()));
        }

        Assert.False(plug.IsCompleted);
        vm.Outcomes.SetResult();
        Assert.Equal(
            new HotplugOutcome("core1", 1, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), await plug.WaitAsync(Patience.Limit));
    }

    [Fact]
    public async Task Answer_as_large_as_guest_memory_may_be_arrives()
    {
        await using var vm = new FakeControlVm();
        await using ControlClient client = await vm.ConnectAsync();
        var read = Assert.IsType<GuestMemoryRead>(await Ask(client, new ReadGuestMemory(-1, 0, ReadGuestMemory.Longest)));
        Assert.Equal(ReadGuestMemory.Longest, read.Bytes.Length);
    }

    [Fact]
    public async Task What_is_no_request_and_what_fails_is_rejected_and_the_connection_stays()
    {
        await using var vm = new FakeControlVm();
        await using ControlClient client = await vm.ConnectAsync();
        Assert.Equal(
            new VmCommandRejected(RejectionCode.NotSupported, "ResumeVcpus is no request"), await Ask(client, new ResumeVcpus()));
        Assert.Equal(RejectionCode.InternalError, Assert.IsType<VmCommandRejected>(await Ask(client, new StopVm())).Code);
        Assert.Equal(s_running, await Ask(client, new GetVmStatus()));
    }

    [Fact]
    public async Task Events_come_in_order_to_those_who_asked_for_them()
    {
        await using var vm = new FakeControlVm();
        var heard = Channel.CreateUnbounded<IProtocolMessage>();
        await using ControlClient listener = await vm.ConnectAsync(happened => heard.Writer.TryWrite(happened));
        await using ControlClient other = await vm.ConnectAsync(happened => Assert.Fail($"{happened}"));
        Assert.IsType<EventsSubscribed>(await Ask(listener, new SubscribeEvents()));
        for (int i = 0; i < 500; i++)
        {
            vm.Server.Publish(new BalloonChanged(i));
        }

        for (int i = 0; i < 500; i++)
        {
            Assert.Equal(new BalloonChanged(i), await heard.Reader.ReadAsync().AsTask().WaitAsync(Patience.Limit));
        }

        Assert.Equal(s_running, await Ask(other, new GetVmStatus()));
    }

    [Fact]
    public async Task Client_that_does_not_read_its_events_loses_its_connection_alone()
    {
        await using var vm = new FakeControlVm();
        await using NetworkStream silent = await vm.ConnectRawAsync();
        await silent.WriteAsync(new ControlFrame(1, new SubscribeEvents()).Encode());
        Assert.IsType<EventsSubscribed>((await ControlFrame.ReadAsync(silent, ControlFrame.LargestAnswer, default))!.Message);
        await using ControlClient other = await vm.ConnectAsync();

        // More than the queue and the socket's buffers take.
        string text = new('x', 100_000);
        for (int i = 0; i < 100; i++)
        {
            vm.Server.Publish(new VmNotice(text));
        }

        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await ControlFrame.ReadAsync(silent, ControlFrame.LargestAnswer, default).WaitAsync(Patience.Limit) is { } frame)
            {
                Assert.IsType<VmNotice>(frame.Message);
            }

            throw new IOException("the end came between two frames");
        });
        Assert.Equal(s_running, await Ask(other, new GetVmStatus()));
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0 })]
    [InlineData(new byte[] { 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 1, 0, 4, 0 })]
    [InlineData(new byte[] { 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 200 })]
    [InlineData(new byte[] { 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, (byte)'m', (byte)'?', (byte)'x' })]
    [InlineData(new byte[] { 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, (byte)'z', (byte)'z', (byte)'{', (byte)'}' })]
    public async Task What_is_no_frame_ends_the_connection_and_no_other(byte[] bytes)
    {
        await using var vm = new FakeControlVm();
        await using ControlClient other = await vm.ConnectAsync();
        await using NetworkStream bad = await vm.ConnectRawAsync();
        await bad.WriteAsync(bytes);
        try
        {
            Assert.Equal(0, await bad.ReadAsync(new byte[1]).AsTask().WaitAsync(Patience.Limit));
        }
        catch (IOException)
        {
            // The server has not read all that was sent: the system tells of the end so.
        }

        Assert.Equal(s_running, await Ask(other, new GetVmStatus()));
    }

    [Fact]
    public async Task Request_under_way_fails_when_the_connection_is_lost_and_so_do_later_ones()
    {
        var vm = new FakeControlVm();
        await using ControlClient client = await vm.ConnectAsync();
        Task<IProtocolMessage> plug = Ask(client, new PlugVcpu("core1", 1));
        Assert.Equal(s_running, await Ask(client, new GetVmStatus()));
        await vm.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(() => plug);
        await client.Completion.WaitAsync(Patience.Limit);
        await Assert.ThrowsAsync<IOException>(() => Ask(client, new GetVmStatus()));
        await Assert.ThrowsAsync<IOException>(() => vm.ConnectAsync());
    }

    [Fact]
    public async Task Quit_is_answered_before_the_end()
    {
        await using var vm = new FakeControlVm();
        await using ControlClient client = await vm.ConnectAsync();
        Assert.IsType<VmQuitting>(await Ask(client, new QuitVm()));
        await vm.Quit.Task.WaitAsync(Patience.Limit);
    }
}
