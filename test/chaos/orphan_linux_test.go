package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// killSender kills the process of a pod that has a connection from an address. The request that came by it is still
// on its way then.
func (w *world) killSender(at net.Addr) {
	socket := socketAt(at)
	if socket == "" {
		return // it has ended by itself
	}
	for _, p := range podProcesses(w.folder("kube")) {
		held, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid)) // the pattern is well formed
		for _, fd := range held {
			if to, err := os.Readlink(fd); err == nil && to == socket {
				w.killPod(p)
				return
			}
		}
	}
}

// socketAt is what the kernel calls the connection from an address in the list of a process' files.
func socketAt(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	b, err := os.ReadFile("/proc/net/tcp")
	if !ok || err != nil {
		return ""
	}
	ip := tcp.IP.To4()
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], tcp.Port)
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 9 && words[1] == local {
			return "socket:[" + words[9] + "]"
		}
	}
	return ""
}
