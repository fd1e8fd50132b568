using System.Buffers;
using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices.CfiFlash;

namespace Vmm.Actors.Devices;

/// <summary>
/// A bank of flash: writes the guest's changes to a file. The guest sees the bank busy until a change is written. So a change that the
/// guest has seen completed is with the host's kernel, and survives the end of this process, however it ends.
/// </summary>
public sealed class FlashActor : DeviceActor
{
    private const int Piece = 64 << 10;

    private readonly CfiFlash _bank;

    private sealed record WriteBackReady;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<CfiFlash>((bank, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new FlashActor(bank))));

    public FlashActor(CfiFlash bank)
        : base(bank)
    {
        _bank = bank;
        Receive<WriteBackReady>(_ => WriteBack());
    }

    protected override void PreStart()
    {
        IActorRef self = Self;
        _bank.WriteBackReady.Connect(() => self.Tell(new WriteBackReady()));
    }

    protected override void PostStop()
    {
        _bank.WriteBackReady.Connect(null);
        WriteBack();
    }

    protected override void ResetCore()
    {
        WriteBack();
        base.ResetCore();
    }

    private void WriteBack()
    {
        _bank.WriteBackReady.Acknowledge();
        if (_bank.Store is not { } file || !_bank.TryGetWriteBack(out int start, out int length))
        {
            return;
        }

        byte[] piece = ArrayPool<byte>.Shared.Rent(Piece);
        try
        {
            for (int done = 0; done < length; done += Piece)
            {
                Span<byte> bytes = piece.AsSpan(0, Math.Min(Piece, length - done));
                _bank.CopyContents(start + done, bytes);
                RandomAccess.Write(file, bytes, start + done);
            }

            _bank.CompleteWriteBack(written: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            Context.GetLogger().Error("{0} cannot be written back: {1}", _bank.Name, e.Message);
            _bank.CompleteWriteBack(written: false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }
}
