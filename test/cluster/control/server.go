package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// How long stopping or starting one part may take.
const partPatience = 2 * time.Minute

// State is one part, as GET /parts tells.
type State struct {
	Name     string `json:"name"`
	Wanted   bool   `json:"wanted"`
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"`
	Log      string `json:"log"`
}

// Socket is the path of the control socket.
func (c *Control) Socket() string { return filepath.Join(c.home, "control.sock") }

// serveControl answers
//
//	GET  /parts                 every part
//	POST /parts/NAME/stop       SIGTERM, and wait for its end
//	POST /parts/NAME/kill       SIGKILL, and wait for its end
//	POST /parts/NAME/start      begin it, and wait until it is ready
func (c *Control) serveControl(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", c.Socket())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parts", c.handleParts)
	mux.HandleFunc("POST /parts/{name}/{act}", c.handleAct)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil {
			slog.Error("the control socket has ended", "error", err)
		}
	}()
	return nil
}

func (c *Control) handleParts(w http.ResponseWriter, _ *http.Request) {
	all := make([]State, 0, len(c.parts))
	for _, p := range c.parts {
		all = append(all, p.state())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(all); err != nil {
		slog.Error("answering /parts", "error", err)
	}
}

func (p *part) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{Name: p.name, Wanted: p.wanted, Restarts: p.restarts, Log: p.log}
	if p.process != nil {
		s.PID = p.process.Pid
	}
	return s
}

func (c *Control) handleAct(w http.ResponseWriter, r *http.Request) {
	p := c.parts[r.PathValue("name")]
	if p == nil {
		http.Error(w, fmt.Sprintf("no part is called %q", r.PathValue("name")), http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), partPatience)
	defer cancel()
	var err error
	switch r.PathValue("act") {
	case "stop":
		err = p.stop(ctx, syscall.SIGTERM)
	case "kill":
		err = p.stop(ctx, syscall.SIGKILL)
	case "start":
		err = p.start(ctx)
	default:
		http.Error(w, "a part can be told stop, kill and start", http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
