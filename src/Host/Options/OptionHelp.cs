using System.Reflection;
using System.Text;

namespace Vmm.Host.Options;

/// <summary>The text of <c>-help</c> and <c>-version</c>.</summary>
public static class OptionHelp
{
    private const int Column = 28;
    private const int Width = 120;

    public static string Version => $"Vmm {Assembly.GetExecutingAssembly().GetName().Version!.ToString(3)}";

    /// <summary>The options of <c>vmm run</c>.</summary>
    public static string Text
    {
        get
        {
            var text = new StringBuilder("""
                Run a VM on this terminal (Ctrl-A h helps):
                  vmm run OPTION...    or, as QEMU is called:    vmm OPTION...
                One dash or two, as you like. Other commands: vmm --help lists them.

                """);
            foreach (OptionRow row in OptionTable.Supported)
            {
                text.Append('\n').Append(Describe(row));
            }

            return text.ToString();
        }
    }

    private static string Describe(OptionRow row)
    {
        string head = "  " + string.Join(", ", row.Names.Select(n => $"-{n}")) + (row.TakesValue ? $" {row.Syntax}" : "");
        var lines = new List<string>();
        string line = head.Length < Column ? head.PadRight(Column) : "";
        if (line.Length == 0)
        {
            lines.Add(head);
            line = new string(' ', Column);
        }

        foreach (string word in row.Help.Split(' '))
        {
            if (line.Length + 1 + word.Length > Width)
            {
                lines.Add(line);
                line = new string(' ', Column);
            }

            line += line.Length == Column ? word : $" {word}";
        }

        lines.Add(line);
        return string.Join('\n', lines);
    }
}
