namespace Vmm.Fleet.Messages;

/// <summary>
/// A record or an account is to end here, because it goes to another node or nobody needs it now. It does so when what came before is kept
/// and answered: PoisonPill would end it between the write and the answer, and whoever has asked would wait in vain. It leaves no node.
/// </summary>
internal sealed class EndEntity
{
    public static readonly EndEntity Instance = new();

    private EndEntity()
    {
    }
}
