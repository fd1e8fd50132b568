// Plugs a CPU into a VM and takes it out again through digitalocean/go-qemu, a QMP client that has nothing to do with Vmm.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

type slot struct {
	Type    string         `json:"type"`
	Props   map[string]int `json:"props"`
	QomPath string         `json:"qom-path"`
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func run(monitor qmp.Monitor, name string, arguments map[string]interface{}, result interface{}) {
	command, err := json.Marshal(map[string]interface{}{"execute": name, "arguments": arguments})
	check(err)
	answer, err := monitor.Run(command)
	check(err)
	var wrapped struct{ Return json.RawMessage }
	check(json.Unmarshal(answer, &wrapped))
	if result != nil {
		check(json.Unmarshal(wrapped.Return, result))
	}
}

func await(events <-chan qmp.Event, name string) qmp.Event {
	for {
		select {
		case event := <-events:
			fmt.Println("event", event.Event, event.Data["result"])
			if event.Event == name {
				return event
			}
		case <-time.After(60 * time.Second):
			check(fmt.Errorf("no %s", name))
		}
	}
}

func main() {
	monitor, err := qmp.NewSocketMonitor("unix", os.Args[1], 5*time.Second)
	check(err)
	check(monitor.Connect())
	defer monitor.Disconnect()
	source, err := monitor.Events(context.Background())
	check(err)

	// The library reads no answer while an event waits to be taken.
	events := make(chan qmp.Event, 100)
	go func() {
		for event := range source {
			events <- event
		}
	}()

	var slots []slot
	run(monitor, "query-hotpluggable-cpus", map[string]interface{}{}, &slots)
	for _, free := range slots {
		if free.QomPath != "" {
			continue
		}
		arguments := map[string]interface{}{"driver": free.Type, "id": "go"}
		for key, value := range free.Props {
			arguments[key] = value
		}
		run(monitor, "device_add", arguments, nil)
		if await(events, "__org.vmm_HOTPLUG_OUTCOME").Data["result"] != "done" {
			os.Exit(1)
		}
		run(monitor, "device_del", map[string]interface{}{"id": "go"}, nil)
		if await(events, "DEVICE_DELETED").Data["device"] != "go" {
			os.Exit(1)
		}
		fmt.Println("plugged and unplugged")
		return
	}
	check(fmt.Errorf("no free slot"))
}
