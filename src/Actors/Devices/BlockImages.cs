using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Block;

namespace Vmm.Actors.Devices;

/// <summary>What monitors ask of images that no device has. The actor that owns the maker of devices calls it.</summary>
internal static class BlockImages
{
    /// <summary>Answers a command, or hands it to the device that has the image.</summary>
    /// <param name="devices">The actors of devices.</param>
    public static void Answer(IBlockImageCommand command, IDeviceMaker maker, IActorRef devices, IActorRef requester, IActorRef self)
    {
        try
        {
            switch (command)
            {
                case AddBlockImage add:
                    maker.AddImage(add.Image, add.IsNode);
                    break;
                case RemoveBlockImage remove when !maker.RemoveImage(remove.Name, remove.IsNode):
                    devices.Tell(new EjectBlock(remove.Name), requester);
                    return;
                case GetUnusedImages or GetUnusedNodes:
                    requester.Tell(Describe(maker, nodes: command is GetUnusedNodes), self);
                    return;
            }

            requester.Tell(new BlockCommandDone(), self);
        }
        catch (InvalidDataException e)
        {
            requester.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, e.Message), self);
        }
    }

    private static IProtocolMessage Describe(IDeviceMaker maker, bool nodes)
    {
        IReadOnlyList<BlockBackend> disks = maker.OpenUnused();
        try
        {
            return nodes ? DiskReport.NodesOf(disks) : DiskReport.OfUnused(disks);
        }
        finally
        {
            foreach (BlockBackend disk in disks)
            {
                disk.Dispose();
            }
        }
    }
}
