namespace Vmm.Management.Hmp;

/// <summary>The kind of an argument.</summary>
public enum HmpParameterKind
{
    /// <summary>A word, or several in double quotes.</summary>
    Text,

    /// <summary>An expression.</summary>
    Expression,

    /// <summary>An <see cref="HmpFormat"/> behind a slash. It is always optional.</summary>
    Format,

    /// <summary>A flag such as -a. It is always optional.</summary>
    Flag,

    /// <summary>A flag and the word behind it, such as -d tag. It is always optional.</summary>
    NamedText,

    /// <summary>The rest of the line.</summary>
    Rest,
}

/// <param name="Name">The name by which the command finds the argument. A flag's name has its dash.</param>
/// <param name="Optional">Whether it may be left out.</param>
public sealed record HmpParameter(string Name, HmpParameterKind Kind, bool Optional = false);

/// <summary>The arguments of one command line.</summary>
public sealed class HmpArguments
{
    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);

    /// <summary>The format of this command, or the one of the last command if none was given.</summary>
    public HmpFormat Format { get; private set; }

    public string Text(string name) => (string)_values[name];

    public string? TextOrNull(string name) => (string?)_values.GetValueOrDefault(name);

    public long Number(string name) => (long)_values[name];

    public long? NumberOrNull(string name) => (long?)_values.GetValueOrDefault(name);

    public bool Has(string name) => _values.ContainsKey(name);

    /// <exception cref="HmpException">The line does not fit the parameters.</exception>
    internal static HmpArguments Parse(string command, IReadOnlyList<HmpParameter> parameters, string line, int position,
        HmpFormat lastFormat, IReadOnlyDictionary<string, ulong> registers)
    {
        var arguments = new HmpArguments { Format = lastFormat };
        foreach (HmpParameter parameter in parameters)
        {
            SkipWhite(line, ref position);
            bool atEnd = position == line.Length;
            switch (parameter.Kind)
            {
                case HmpParameterKind.Text when !atEnd:
                    arguments._values[parameter.Name] = Word(line, ref position) ?? throw new HmpException($"{command}: string expected");
                    break;
                case HmpParameterKind.Text when !parameter.Optional:
                    throw new HmpException($"{command}: string expected");
                case HmpParameterKind.Rest when !atEnd:
                    arguments._values[parameter.Name] = line[position..].TrimEnd();
                    position = line.Length;
                    break;
                case HmpParameterKind.Rest when !parameter.Optional:
                    throw new HmpException($"{command}: string expected");
                case HmpParameterKind.Format:
                    if (!atEnd && line[position] == '/')
                    {
                        position++;
                        arguments.Format = HmpFormat.Parse(line, ref position, lastFormat);
                    }
                    else
                    {
                        arguments.Format = lastFormat with { Count = 1 };
                    }

                    break;
                case HmpParameterKind.Flag when IsFlag(line, position, parameter.Name):
                    position += parameter.Name.Length;
                    arguments._values[parameter.Name] = true;
                    break;
                case HmpParameterKind.NamedText when IsFlag(line, position, parameter.Name):
                    position += parameter.Name.Length;
                    SkipWhite(line, ref position);
                    arguments._values[parameter.Name] = (position == line.Length ? null : Word(line, ref position))
                        ?? throw new HmpException($"{command}: string expected");
                    break;
                case HmpParameterKind.Expression when !atEnd || !parameter.Optional:
                    var expression = new HmpExpression(line, registers);
                    arguments._values[parameter.Name] = expression.Evaluate(position);
                    position = expression.Position;
                    break;
            }
        }

        SkipWhite(line, ref position);
        return position == line.Length ? arguments : throw new HmpException($"{command}: extraneous characters at the end of line");
    }

    private static bool IsFlag(string line, int position, string flag) =>
        line.AsSpan(position).StartsWith(flag, StringComparison.Ordinal)
            && (position + flag.Length == line.Length || char.IsWhiteSpace(line[position + flag.Length]));

    internal static void SkipWhite(string line, ref int position)
    {
        while (position < line.Length && char.IsWhiteSpace(line[position]))
        {
            position++;
        }
    }

    // A word as QEMU's get_str reads it: within quotes a backslash escapes \n, \r, \\, \' and \". Null if the quotes do not end, or at
    // another escape.
    private static string? Word(string line, ref int position)
    {
        if (line[position] != '"')
        {
            int start = position;
            while (position < line.Length && !char.IsWhiteSpace(line[position]))
            {
                position++;
            }

            return line[start..position];
        }

        var text = new System.Text.StringBuilder();
        for (position++; position < line.Length && line[position] != '"'; position++)
        {
            char c = line[position];
            if (c == '\\' && position + 1 < line.Length)
            {
                c = line[++position] switch
                {
                    'n' => '\n',
                    'r' => '\r',
                    (var escaped and ('\\' or '\'' or '"')) => escaped,
                    _ => '\0',
                };
                if (c == '\0')
                {
                    return null;
                }
            }

            text.Append(c);
        }

        if (position == line.Length)
        {
            return null;
        }

        position++;
        return text.ToString();
    }
}
