// Package natslocal is a NATS server with JetStream inside this process: for `tallyman dev`, which runs
// with no cluster, and for tests, which run against the real thing. It syncs as NATS does by default:
// safe against a killed process, not against a power cut.
package natslocal

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tallyman/internal/stream"
)

// Options say where the server listens and keeps its files. The caller guards Dir against a second
// server: NATS itself does not.
type Options struct {
	Addr     string // host:port; port 0 takes a free one
	Dir      string
	MaxStore int64 // bytes on disk; 0: 8 GiB
	MaxBatch int   // messages of one atomic batch; 0: as many as a commit of ours may have
	Log      *slog.Logger
}

// Server is a running NATS.
type Server struct {
	o   Options // with the port that it has
	url string
	log *slog.Logger

	mu sync.Mutex
	ns *server.Server // another one after it was started again
}

const (
	readyTimeout    = 10 * time.Second
	defaultMaxStore = 8 << 30
)

// Start brings a server up and waits until it takes connections.
func Start(o Options) (*Server, error) {
	host, port, err := splitAddr(o.Addr)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return nil, errors.New("natslocal: Dir is empty; give a folder for JetStream's files")
	}
	if o.MaxStore == 0 {
		o.MaxStore = defaultMaxStore
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = stream.MaxBatch
	}
	if err := portFree(o.Addr, port); err != nil {
		return nil, err
	}
	ns, err := open(&o, host, port)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, url: ns.ClientURL(), log: o.Log, ns: ns}
	s.o.Addr = strings.TrimPrefix(s.url, "nats://")
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// open begins one life of the server.
func open(o *Options, host string, port int) (*server.Server, error) {
	ns, err := server.NewServer(&server.Options{
		ServerName: "tallyman", Host: host, Port: port, JetStream: true, StoreDir: o.Dir,
		JetStreamMaxStore: o.MaxStore, JetStreamMaxMemory: 256 << 20,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: o.MaxBatch},
		NoSigs:          true, // else it would trap SIGTERM, exit and skip our own orderly end
	})
	if err != nil {
		return nil, fmt.Errorf("natslocal: %w", err)
	}
	if o.Log != nil {
		ns.SetLoggerV2(logger{o.Log}, false, false, false)
	}
	ns.Start()
	if !ns.ReadyForConnections(readyTimeout) {
		ns.Shutdown()
		return nil, fmt.Errorf("natslocal: %s does not take connections after %s", o.Addr, readyTimeout)
	}
	return ns, nil
}

// splitAddr reads host:port; NATS spells a free port -1.
func splitAddr(addr string) (string, int, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("natslocal: address %q is not host:port: %w", addr, err)
	}
	port, err := strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("natslocal: port %q must be 0 to 65535", p)
	}
	if port == 0 {
		port = -1
	}
	return host, port, nil
}

// portFree finds a taken port before NATS does: it would say nothing and never be ready.
func portFree(addr string, port int) error {
	if port < 0 {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("natslocal: %w", err)
	}
	return l.Close()
}

// URL is where clients connect.
func (s *Server) URL() string { return s.url }

// InProcess lets a client in this process skip the socket. It serves as long as the server is not started again.
func (s *Server) InProcess() nats.InProcessConnProvider { return s.now() }

func (s *Server) now() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ns
}

// Stop ends the server and waits until its files are closed.
func (s *Server) Stop() { stop(s.now()) }

func stop(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

// logger hands NATS's complaints on. Fatalf must not exit: the caller decides how the program dies.
type logger struct{ log *slog.Logger }

func (l logger) Noticef(string, ...any) {}
func (l logger) Debugf(string, ...any)  {}
func (l logger) Tracef(string, ...any)  {}
func (l logger) Warnf(format string, v ...any) {
	l.log.Warn("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l logger) Errorf(format string, v ...any) {
	l.log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l logger) Fatalf(format string, v ...any) {
	l.log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}
