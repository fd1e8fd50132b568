using System.CommandLine;
using Vmm.Host.Commands;
using Vmm.Host.Demo;
using Vmm.Host.Guest;

var root = new RootCommand("Vmm: an AArch64 virtual machine monitor") { RunCommand.Create(), DemoCommand.Create(), GuestFetch.Create() };
return await root.Parse(args).InvokeAsync().ConfigureAwait(false);
