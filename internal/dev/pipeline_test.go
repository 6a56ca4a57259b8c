package dev

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/contract"
)

// A port in use is an error that names the flag, and leaves nothing open behind it.
func TestAPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	processor, err := os.Executable() // any program: nothing is run
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	file := filepath.Join(data, addressFile)
	for flag, use := range map[string]func(*Options) *string{
		"--nats": func(o *Options) *string { return &o.NATS }, "--sqs": func(o *Options) *string { return &o.SQS },
		"--api": func(o *Options) *string { return &o.API }, "--admin": func(o *Options) *string { return &o.Admin },
	} {
		const free = "127.0.0.1:0"
		o := Options{
			Data: data, Config: contract.DevConfig(), API: free, SQS: free, NATS: free, Admin: free, Processor: processor,
			BackoffScale: 1,
		}
		*use(&o) = l.Addr().String()
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil { // of a life that was killed
			t.Fatal(err)
		}
		if p, err := New(t.Context(), o); err == nil || p != nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v, %v", flag, p, err)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: nothing listens, and %s stands: %v", flag, addressFile, err)
		}
	}
}

// Where everything listens is told for as long as it does.
func TestAddressesGoWithTheirLife(t *testing.T) {
	t.Parallel()
	processor, err := os.Executable() // any program: nothing is run
	if err != nil {
		t.Fatal(err)
	}
	const free = "127.0.0.1:0"
	o := Options{
		Data: t.TempDir(), Config: contract.DevConfig(), API: free, SQS: free, NATS: free, Admin: free, Processor: processor,
		BackoffScale: 1, Log: slog.New(slog.DiscardHandler),
	}
	for range 2 {
		p, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(o.Data, addressFile)); err != nil || !strings.Contains(string(b), p.Addresses().API) {
			t.Errorf("%s, %v", b, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(o.Data, addressFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it has ended, and its addresses stand: %v", err)
		}
	}
}
