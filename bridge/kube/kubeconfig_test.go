package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"
)

func TestEndsWhenTheKubeconfigHasChanged(t *testing.T) {
	t.Parallel()
	path, clock := filepath.Join(t.TempDir(), "kubeconfig"), clockwork.NewFakeClockAt(noon)
	if _, err := ReadKubeconfig(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	k, err := ReadKubeconfig(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- k.Run(t.Context()) }()
	quiet := func(what string) {
		t.Helper()
		if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		clock.Advance(3 * lookEveryFile)
		select {
		case err := <-ended:
			t.Fatalf("%s: it ended with %v", what, err)
		default:
		}
	}
	write("one")
	quiet("written again")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	quiet("missing")
	write("two")
	passing(t, clock, "it to end", func() bool {
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if err == nil || !strings.Contains(err.Error(), path+" has changed") {
		t.Errorf("it ended with %v", err)
	}
}
