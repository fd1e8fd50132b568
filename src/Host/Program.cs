using System.CommandLine;
using Vmm.Host.Commands;

var root = new RootCommand("Vmm: an AArch64 virtual machine monitor") { RunCommand.Create() };
return await root.Parse(args).InvokeAsync().ConfigureAwait(false);
