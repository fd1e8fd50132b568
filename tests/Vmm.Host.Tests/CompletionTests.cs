using System.Diagnostics;
using Vmm.Host.Commands;
using Vmm.Host.Demo;

namespace Vmm.Host.Tests;

public sealed class CompletionTests
{
    private static readonly System.CommandLine.RootCommand s_root = CreateRoot();

    private static System.CommandLine.RootCommand CreateRoot()
    {
        var root = new System.CommandLine.RootCommand { new System.CommandLine.Command(RunCommand.Name), RemoteCommand.Create(),
            DemoCommand.Create(), AcpiCommand.Create() };
        root.Add(CompletionCommand.Create(root));
        return root;
    }

    [Theory]
    [InlineData("vmm ", "run remote demo acpi completion")]
    [InlineData("vmm re", "remote")]
    [InlineData("vmm -sm", "-smp")]
    [InlineData("vmm --ini", "--initrd")]
    [InlineData("vmm run -cpu n", "neoverse-n1 neoverse-n2 neoverse-v1")]
    [InlineData("vmm run --cpu cortex-a5", "cortex-a53 cortex-a55 cortex-a57")]
    [InlineData("vmm -machine virt,gic-version=", "3 max host")]
    [InlineData("vmm -kernel /etc/passw", "/etc/passwd")]
    [InlineData("vmm -smp ", "")]
    [InlineData("vmm completion ", "bash fish zsh")]
    [InlineData("vmm acpi dump --o", "--out")]
    public async Task Bash_completes(string line, string words)
    {
        string script = CompletionCommand.Script("bash", s_root) + """

            compopt() { :; }
            COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
            _vmm
            echo "${COMPREPLY[*]}"
            """;
        string said = await Run("bash", ["-c", script, "bash", line]);
        Assert.Equal(words, line.EndsWith("/etc/passw", StringComparison.Ordinal) ? said.Split(' ').First(w => w == words) : said);
    }

    [Theory]
    [InlineData("zsh", "    -smp|--smp) return ;;")]
    [InlineData("zsh", "    -kernel|--kernel) _files; return ;;")]
    [InlineData("zsh", "    -cpu|--cpu) compadd -- cortex-a53 ")]
    [InlineData("zsh", "    completion) compadd -- ")]
    [InlineData("fish", "complete -c vmm -n __vmm_runs -o kernel -l kernel -r -F -d 'arm64 Linux Image to boot'")]
    [InlineData("fish", "complete -c vmm -n __vmm_runs -s m -x -d ")]
    [InlineData("fish", "complete -c vmm -n '__fish_use_subcommand' -a demo -d ")]
    public void Other_shells_have_the_same_options(string shell, string part) =>
        Assert.Contains(part, CompletionCommand.Script(shell, s_root), StringComparison.Ordinal);

    private static async Task<string> Run(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        string said = await process.StandardOutput.ReadToEndAsync();
        Assert.Equal("", await process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return said.TrimEnd('\n');
    }
}
