package sqslocal

import (
	"maps"
	"net"
	"net/http"
	"sync"
)

// newcomers are connections on which nothing has been said yet. Shutdown waits
// five seconds for each of them, and SDKs dial more than they use, so that a
// drain closes them itself.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// observe is the server's ConnState hook.
func (n *newcomers) observe(conn net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if state == http.StateNew {
		n.conns[conn] = struct{}{}
	} else {
		delete(n.conns, conn)
	}
}

// dismiss closes them all.
func (n *newcomers) dismiss() {
	n.mu.Lock()
	conns := maps.Clone(n.conns)
	n.mu.Unlock()
	for conn := range conns {
		_ = conn.Close() // nobody was told anything, so nobody misses it
	}
}
