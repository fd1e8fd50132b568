using System.Text.Json.Nodes;

namespace Vmm.Management.Qapi;

// The types of the answer to query-qmp-schema (QEMU, qapi/introspect.json). QapiSchema makes that answer as JSON; these types let the
// schema describe itself.

public enum SchemaMetaType
{
    Builtin,
    Enum,
    Array,
    Object,
    Alternate,
    Command,
    Event,
}

public enum JSONType
{
    String,
    Number,
    Int,
    Boolean,
    Null,
    Object,
    Array,
    Value,
}

[QapiUnion("meta-type")]
[QapiBranch("builtin", typeof(SchemaInfoBuiltin))]
[QapiBranch("enum", typeof(SchemaInfoEnum))]
[QapiBranch("array", typeof(SchemaInfoArray))]
[QapiBranch("object", typeof(SchemaInfoObject))]
[QapiBranch("alternate", typeof(SchemaInfoAlternate))]
[QapiBranch("command", typeof(SchemaInfoCommand))]
[QapiBranch("event", typeof(SchemaInfoEvent))]
public sealed record SchemaInfo(string Name, SchemaMetaType MetaType, string[]? Features);

public sealed record SchemaInfoBuiltin(JSONType JsonType);

public sealed record SchemaInfoEnum(SchemaInfoEnumMember[] Members, [property: QapiFeature("deprecated")] string[] Values);

public sealed record SchemaInfoEnumMember(string Name, string[]? Features);

public sealed record SchemaInfoArray(string ElementType);

public sealed record SchemaInfoObject(SchemaInfoObjectMember[] Members, string? Tag, SchemaInfoObjectVariant[]? Variants);

public sealed record SchemaInfoObjectMember(string Name, string Type, JsonNode? Default, string[]? Features);

public sealed record SchemaInfoObjectVariant(string Case, string Type);

public sealed record SchemaInfoAlternate(SchemaInfoAlternateMember[] Members);

public sealed record SchemaInfoAlternateMember(string Type);

public sealed record SchemaInfoCommand(string ArgType, string RetType, bool? AllowOob);

public sealed record SchemaInfoEvent(string ArgType);
