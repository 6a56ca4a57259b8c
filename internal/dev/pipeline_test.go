package dev

import (
	"net"
	"os"
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
		if p, err := New(t.Context(), o); err == nil || p != nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v, %v", flag, p, err)
		}
	}
}
