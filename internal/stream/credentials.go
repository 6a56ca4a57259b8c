package stream

import (
	"bytes"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// credentials reads either kind of file that NATS knows: a .creds file, or a bare nkey seed.
func credentials(path string) (nats.Option, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("NATS credentials: %w", err)
	}
	if bytes.Contains(b, []byte("BEGIN NATS USER JWT")) {
		return nats.UserCredentials(path), nil
	}
	opt, err := nats.NkeyOptionFromSeed(path)
	if err != nil {
		return nil, fmt.Errorf("NATS credentials %s: neither a .creds file nor an nkey seed: %w", path, err)
	}
	return opt, nil
}
