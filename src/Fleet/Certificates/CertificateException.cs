namespace Vmm.Fleet.Certificates;

/// <summary>A certificate, a key or a folder of them is not as it should be; the message is one line that says what and where.</summary>
public sealed class CertificateException : Exception
{
    public CertificateException(string message)
        : base(message)
    {
    }

    public CertificateException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public CertificateException()
    {
    }
}
