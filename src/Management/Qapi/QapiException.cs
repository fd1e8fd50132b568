namespace Vmm.Management.Qapi;

/// <summary>The class of an error in QAPI. Programs look at the class, people at the text.</summary>
public enum QapiErrorClass
{
    GenericError,
    CommandNotFound,
    DeviceNotActive,
    DeviceNotFound,
    KVMMissingCap,
}

/// <summary>A command failed. The message is QEMU's.</summary>
public sealed class QapiException(string message, QapiErrorClass errorClass = QapiErrorClass.GenericError) : Exception(message)
{
    public QapiErrorClass Class { get; } = errorClass;
}
