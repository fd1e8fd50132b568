using System.Collections;
using System.Reflection;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Akka.Remote;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// The certificate of Akka's transport, which it reads anew for each link and lets nobody change (Akka.Remote 1.5.74, DotNettyTransport):
/// it is found by the names of the members that lead to it. Should they have other names one day, a renewed certificate holds from the
/// next start of the node.
/// </summary>
internal static class TransportCertificate
{
    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Has links that are made from now on show another certificate.</summary>
    /// <exception cref="MissingMemberException">Akka has no such members.</exception>
    public static void Replace(ActorSystem system, X509Certificate2 certificate)
    {
        object remoting = ((RemoteActorRefProvider)((ExtendedActorSystem)system).Provider).Transport;
        foreach (IEnumerable transports in ((IDictionary)Value(remoting, "_transportMapping")).Values)
        {
            foreach (object transport in transports)
            {
                object tls = Value(Value(Value(Value(transport, "ProtocolTransport"), "WrappedTransport"), "Settings"), "Ssl");
                ((FieldInfo)Find(tls, "Certificate")).SetValue(tls, certificate);
            }
        }
    }

    private static object Value(object of, string name) =>
        (Find(of, name) is FieldInfo field ? field.GetValue(of) : ((PropertyInfo)Find(of, name)).GetValue(of))
            ?? throw new MissingMemberException(of.GetType().Name, name);

    private static MemberInfo Find(object of, string name)
    {
        for (Type? type = of.GetType(); type != null; type = type.BaseType)
        {
            if (type.GetMember(name, MemberTypes.Field | MemberTypes.Property, Any) is [var member, ..])
            {
                return member;
            }
        }

        throw new MissingMemberException(of.GetType().Name, name);
    }
}
