package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
)

func TestElsewhere(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, err = net.Listen("tcp", taken.Addr().String())
	if got := Elsewhere(fmt.Errorf("api: %w", err), "--addr").Error(); !strings.HasSuffix(got, "choose another address with --addr") {
		t.Error(got)
	}
	if got := Elsewhere(fs.ErrPermission, "--addr"); !errors.Is(got, fs.ErrPermission) || strings.Contains(got.Error(), "--addr") {
		t.Error(got)
	}
}
