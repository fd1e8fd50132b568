namespace Vmm.Fleet.Records;

/// <summary>The database of the records does not answer now.</summary>
internal sealed class RecordsException(Exception reason) : Exception($"the database does not answer: {reason.Message}", reason);
