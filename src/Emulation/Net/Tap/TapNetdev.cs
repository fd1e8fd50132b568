using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net.Tap;

/// <summary>
/// An interface of the host (<c>-netdev tap</c>, and <c>bridge</c>, which puts it into a bridge): the host's kernel takes and gives frames
/// as those of an Ethernet. Where it can, it takes frames that are larger than the link's and lack checksums (IFF_VNET_HDR), and gives such
/// ones. When somebody removes the interface, the link is lost.
/// </summary>
public sealed class TapNetdev(string id, TapOptions options) : Netdev(id)
{
    private SafeFileHandle? _file;
    private bool _hasHeader;
    private string? _interface;

    public override string Type => options.Type;

    public override string Details =>
        options.Type == "bridge" ? $"br={options.Bridge},ifname={_interface}"
        : options.Descriptor is { } number ? $"fd={number},ifname={_interface}"
        : options.Helper is { } helper ? $"helper={helper},br={options.Bridge},ifname={_interface}"
        : $"ifname={_interface},script={options.Script ?? "no"},downscript={options.DownScript ?? "no"}";

    public override bool TakesUnfinished => _hasHeader;

    public override bool IsConnected => Problem == null;

    public override void Open()
    {
        try
        {
            SafeFileHandle file = _file = options.Descriptor is { } number ? TapDevice.Take(number)
                : options.Type == "bridge" ? OpenInBridge()
                : options.Helper is { } helper ? BridgeHelper.Open(helper, options.Bridge!)
                : TapDevice.Open(options.InterfaceName, options.VirtioHeader);
            (_interface, bool hasHeader) = TapDevice.Describe(file);
            if (options.VirtioHeader is { } wanted && wanted != hasHeader)
            {
                throw new NetException(wanted ? $"vnet_hdr=on requested, but the interface '{_interface}' has none"
                    : $"vnet_hdr=off requested, but the interface '{_interface}' has it");
            }

            if (hasHeader)
            {
                TapDevice.SetHeader(file, NetFrame.HeaderSize);
            }

            TapDevice.SetSendBuffer(file, options.SendBuffer);
            _hasHeader = hasHeader;
            if (options.Script is { } script)
            {
                RunScript(script, _interface);
            }
        }
        catch (NetException e)
        {
            _interface = null;
            Dispose();
            throw new NetException($"-netdev {options.Type}: {e.Message}", e);
        }
    }

    public override void AddTo(NetPoll poll, bool takes, bool gives)
    {
        if (_file != null && Problem == null && (takes || gives))
        {
            poll.Add(_file, takes, gives);
        }
    }

    /// <summary>Sends a frame. What the host does not take, such as one whose header is wrong, is lost, as on any Ethernet.</summary>
    public override bool TrySend(NetFrame frame)
    {
        if (_file == null || Problem != null)
        {
            return true;
        }

        TapResult result = TapDevice.Write(_file, _hasHeader ? frame.Message : frame.Bytes);
        LoseIfGone(result);
        return result != TapResult.WouldBlock;
    }

    public override bool TryReceive(NetFrame frame)
    {
        if (_file == null || Problem != null)
        {
            return false;
        }

        frame.ClearHeader();
        int before = _hasHeader ? 0 : NetFrame.HeaderSize;
        TapResult result = TapDevice.Read(_file, frame.Room[before..], out int count);
        LoseIfGone(result);
        if (result != TapResult.Done || before + count < NetFrame.HeaderSize)
        {
            return false;
        }

        frame.Length = before + count - NetFrame.HeaderSize;
        return true;
    }

    /// <summary>Takes the interface down. One that this process has made goes.</summary>
    public override void Dispose()
    {
        if (options.DownScript is { } script && _interface is { } name)
        {
            try
            {
                RunScript(script, name);
            }
            catch (NetException)
            {
                // The script's own words are on the error stream, and the interface goes in any case.
            }
        }

        _file?.Dispose();
        (_file, _interface) = (null, null);
        base.Dispose();
    }

    // A process that may do so makes the interface itself, and others ask the helper, as QEMU always does.
    private SafeFileHandle OpenInBridge()
    {
        if (options.Helper is { } named)
        {
            return BridgeHelper.Open(named, options.Bridge!);
        }

        try
        {
            SafeFileHandle file = TapDevice.Open("", options.VirtioHeader);
            try
            {
                HostBridge.Add(options.Bridge!, TapDevice.Describe(file).Name);
                return file;
            }
            catch (NetException)
            {
                file.Dispose();
                throw;
            }
        }
        catch (NetException e) when (e.IsPermission)
        {
            return File.Exists(TapOptions.DefaultHelper) ? BridgeHelper.Open(TapOptions.DefaultHelper, options.Bridge!)
                : throw new NetException($"{e.Message}; root may, and others with the helper {TapOptions.DefaultHelper}", e);
        }
    }

    private static void RunScript(string script, string name)
    {
        try
        {
            using Process process = Process.Start(script, [name]);
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                throw new NetException($"network script {script} failed with status {process.ExitCode}");
            }
        }
        catch (Win32Exception e)
        {
            throw new NetException($"could not launch network script {script}: {e.Message}; script=no is for none", e);
        }
    }

    private void LoseIfGone(TapResult result)
    {
        if (result == TapResult.Gone)
        {
            Lose($"the network '{Id}' has ended: its interface {_interface} is gone");
        }
    }
}
