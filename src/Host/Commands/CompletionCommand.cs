using System.CommandLine;
using System.CommandLine.Completions;
using System.Text;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>
/// The command <c>vmm completion bash|zsh|fish</c>: prints a script with which a shell completes commands and options of vmm. It is made
/// from <see cref="OptionTable"/> and the list of commands.
/// </summary>
public static class CompletionCommand
{
    private static readonly string[] s_shells = ["bash", "zsh", "fish"];

    public static Command Create(RootCommand root)
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish" };
        shell.CompletionSources.Add(s_shells);
        shell.Validators.Add(result =>
        {
            if (!s_shells.Contains(result.Tokens[0].Value))
            {
                result.AddError($"there is no completion for '{UserText.Legible(result.Tokens[0].Value)}': give bash, zsh or fish");
            }
        });
        var command = new Command("completion", "Print a script for a shell to complete vmm: source <(vmm completion bash)") { shell };
        command.SetAction(parsed => System.Console.Write(Script(parsed.GetValue(shell)!, root)));
        return command;
    }

    /// <summary>The script for a shell, which is bash, zsh or fish.</summary>
    public static string Script(string shell, RootCommand root) => shell switch
    {
        "bash" => Bash(root),
        "zsh" => Zsh(root),
        _ => Fish(root),
    };

    private static string Spellings(OptionRow row) => string.Join('|', row.Names.SelectMany(n => new[] { $"-{n}", $"--{n}" }));

    private static IEnumerable<Command> Commands(RootCommand root) => root.Subcommands.Where(c => !c.Hidden);

    private static string Options(string dashes) =>
        string.Join(' ', OptionTable.Supported.SelectMany(r => r.Names).Select(n => dashes + n));

    // The words that can follow a command other than run: subcommands, options, and values of its arguments.
    private static string WordsOf(Command command) => string.Join(' ', command.Subcommands.Select(c => c.Name)
        .Concat(command.Options.Concat(command.Subcommands.SelectMany(c => c.Options)).Where(o => !o.Hidden).Select(o => o.Name))
        .Concat(command.Arguments.SelectMany(a => a.GetCompletions(CompletionContext.Empty)).Select(c => c.Label)).Distinct());

    private static string Bash(RootCommand root)
    {
        var script = new StringBuilder("""
            # bash completion for vmm: source <(vmm completion bash)
            _vmm() {
              local line=${COMP_LINE:0:COMP_POINT} cur words=() prev command
              cur=${line##*[[:space:]]}
              read -ra words <<<"${line%"$cur"}"
              prev=${words[-1]-} command=${words[1]-}
              [[ $command == -* || ${#words[@]} -lt 2 ]] && command=run

            """);
        AppendValues(script, "prev", f => $"COMPREPLY=($(compgen -{f} -- \"$cur\")); compopt -o filenames; return", w =>
            $"_vmm_words '{w}'; return");
        script.Append($"  if ((${{#words[@]}} < 2)) && [[ $cur != -* ]]; then\n    _vmm_words "
            + $"'{string.Join(' ', Commands(root).Select(c => c.Name))}'\n    return\n  fi\n");
        script.Append("  case $command in\n    run)\n      if [[ $cur == --* ]]; then _vmm_words '").Append(Options("--"))
            .Append("'; else _vmm_words '").Append(Options("-")).Append("'; fi ;;\n");
        foreach (Command command in Commands(root).Where(c => c.Name != RunCommand.Name))
        {
            script.Append($"    {command.Name}) _vmm_words '{WordsOf(command)}' ;;\n");
        }

        // Bash ends a word at = and at :, so the text before the last of them is typed already.
        return script.Append("""
              esac
            }
            _vmm_words() {
              local stem=${cur%"${cur##*[=:]}"}
              mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
              COMPREPLY=("${COMPREPLY[@]#"$stem"}")
            }
            complete -F _vmm vmm ./vmm

            """).ToString();
    }

    private static string Zsh(RootCommand root)
    {
        var script = new StringBuilder("""
            #compdef vmm
            # zsh completion for vmm: source <(vmm completion zsh)
            _vmm() {
              local cur=${words[CURRENT]} prev=${words[CURRENT-1]} command=${words[2]}
              [[ $command == -* || $CURRENT -lt 3 ]] && command=run

            """);
        AppendValues(script, "prev", f => $"_files{(f == "d" ? " -/" : "")}; return", w => $"compadd -- {w}; return");
        script.Append($"  if (( CURRENT == 2 )) && [[ $cur != -* ]]; then\n    compadd -- "
            + $"{string.Join(' ', Commands(root).Select(c => c.Name))}\n    return\n  fi\n");
        script.Append("  case $command in\n    run)\n      if [[ $cur == --* ]]; then compadd -- ").Append(Options("--"))
            .Append("; else compadd -- ").Append(Options("-")).Append("; fi ;;\n");
        foreach (Command command in Commands(root).Where(c => c.Name != RunCommand.Name))
        {
            string words = WordsOf(command);
            script.Append($"    {command.Name}) {(words.Length == 0 ? ":" : $"compadd -- {words}")} ;;\n");
        }

        return script.Append("  esac\n}\ncompdef _vmm vmm ./vmm\n").ToString();
    }

    // Adds the values of options that take one.
    private static void AppendValues(StringBuilder script, string previous, Func<string, string> files, Func<string, string> words)
    {
        script.Append($"  case ${previous} in\n");
        foreach (OptionRow row in OptionTable.Supported.Where(r => r.TakesValue))
        {
            string action = row.Value switch
            {
                OptionValue.File => files("f"),
                OptionValue.Folder => files("d"),
                _ when row.Choices.Count > 0 => words(string.Join(' ', row.Choices)),
                _ => "return",
            };
            script.Append($"    {Spellings(row)}) {action} ;;\n");
        }

        script.Append("  esac\n");
    }

    private static string Fish(RootCommand root)
    {
        var script = new StringBuilder("""
            # fish completion for vmm: vmm completion fish | source
            function __vmm_runs
                set -l words (commandline -opc)
                test (count $words) -lt 2; or string match -q -- '-*' $words[2]; or test $words[2] = run
            end
            complete -c vmm -f

            """);
        foreach (Command command in Commands(root))
        {
            script.Append($"complete -c vmm -n '__fish_use_subcommand' -a {command.Name} -d {Quote(command.Description ?? "")}\n");
            if (command.Name != RunCommand.Name)
            {
                string words = WordsOf(command);
                script.Append(words.Length == 0 ? "" : $"complete -c vmm -n '__fish_seen_subcommand_from {command.Name}' -a '{words}'\n");
            }
        }

        foreach (OptionRow row in OptionTable.Supported)
        {
            string value = row.Value switch
            {
                OptionValue.None => "",
                OptionValue.File or OptionValue.Folder => " -r -F",
                _ when row.Choices.Count > 0 => $" -x -a '{string.Join(' ', row.Choices)}'",
                _ => " -x",
            };
            foreach (string name in row.Names)
            {
                string old = name.Length == 1 ? $"-s {name}" : $"-o {name} -l {name}";
                script.Append($"complete -c vmm -n __vmm_runs {old}{value} -d {Quote(row.Help)}\n");
            }
        }

        return script.ToString();
    }

    private static string Quote(string text) =>
        $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
