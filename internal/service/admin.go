package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Admin is the page for probes: /healthz says that the process lives, /readyz that every part can work.
type Admin struct {
	listener net.Listener
	parts    atomic.Pointer[[]Part]
}

const readyTimeout = 5 * time.Second

// NewAdmin listens at once, so that a taken port is an error and not a log line.
func NewAdmin(addr string, parts []Part) (*Admin, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, Elsewhere(fmt.Errorf("admin: %w", err), "--admin")
	}
	a := &Admin{listener: l}
	a.Ask(parts)
	return a, nil
}

// Ask changes whom /readyz asks: what a program waits for before it has parts is no part of it.
func (a *Admin) Ask(parts []Part) { a.parts.Store(&parts) }

// URL is where the page is.
func (a *Admin) URL() string { return "http://" + a.listener.Addr().String() }

// Run serves until ctx ends.
func (a *Admin) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: readyTimeout, ReadTimeout: readyTimeout, WriteTimeout: 2 * readyTimeout,
		MaxHeaderBytes: 16 << 10,
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	if err := Ready(r.Context(), *a.parts.Load()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Ready asks every part, and names each that is not, one a line.
func Ready(ctx context.Context, parts []Part) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var lines []string
	for _, p := range parts {
		if p.Ready == nil {
			continue
		}
		if err := p.Ready(ctx); err != nil {
			lines = append(lines, p.Name+": "+err.Error())
		}
	}
	if len(lines) > 0 {
		return errors.New(strings.Join(lines, "\n"))
	}
	return nil
}
