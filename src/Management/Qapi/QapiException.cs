namespace Vmm.Management.Qapi;

/// <summary>QAPI's error classes: programs look at them, people at the text.</summary>
public enum QapiErrorClass
{
    GenericError,
    CommandNotFound,
    DeviceNotActive,
    DeviceNotFound,
    KVMMissingCap,
}

/// <summary>A command failed; the message is QEMU's.</summary>
public sealed class QapiException(string message, QapiErrorClass errorClass = QapiErrorClass.GenericError) : Exception(message)
{
    public QapiErrorClass Class { get; } = errorClass;
}
