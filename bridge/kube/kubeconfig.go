package kube

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jonboulle/clockwork"
)

// lookEveryFile is how often the kubeconfig is read again. A pod's own token is read anew by the client.
const lookEveryFile = 10 * time.Second

// Kubeconfig is the file that a Server was dialled by.
type Kubeconfig struct {
	path   string
	dialed []byte
	clock  clockwork.Clock
}

// ReadKubeconfig reads the file before it is dialled; clock may be nil.
func ReadKubeconfig(path string, clock clockwork.Clock) (*Kubeconfig, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("bridge: read kubeconfig: %w", err)
	}
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	return &Kubeconfig{path: path, dialed: b, clock: clock}, nil
}

// Run ends with an error when the file has changed: another API server means other caches and another Lease,
// and whoever started us starts us with them. A file that is missing for a moment has not changed.
func (k *Kubeconfig) Run(ctx context.Context) error {
	tick := k.clock.NewTicker(lookEveryFile)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.Chan():
			if b, err := os.ReadFile(k.path); err == nil && !bytes.Equal(b, k.dialed) {
				return fmt.Errorf("%s has changed; start again with it", k.path)
			}
		}
	}
}
