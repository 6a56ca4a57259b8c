package stream

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// credentials reads any kind of file that NATS knows: a .creds file, a bare nkey seed, or a line user:password.
// Each is read anew at every connect, so that what was rotated is taken up without a restart.
func credentials(path string) (nats.Option, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("NATS credentials: %w", err)
	}
	if bytes.Contains(b, []byte("BEGIN NATS USER JWT")) {
		return nats.UserCredentials(path), nil
	}
	if _, _, ok := userAndPassword(b); ok {
		return nats.UserInfoHandler(func() (string, string) {
			if newer, err := os.ReadFile(path); err == nil {
				b = newer
			}
			user, password, _ := userAndPassword(b)
			return user, password
		}), nil
	}
	opt, err := nats.NkeyOptionFromSeed(path)
	if err != nil {
		return nil, fmt.Errorf("NATS credentials %s: neither a .creds file nor an nkey seed nor a line user:password: %w", path, err)
	}
	return opt, nil
}

// userAndPassword splits a line at its first colon; a seed and a comment before one have none.
func userAndPassword(b []byte) (user, password string, ok bool) {
	line := strings.TrimSpace(string(b))
	if strings.ContainsAny(line, "\r\n") {
		return "", "", false
	}
	user, password, ok = strings.Cut(line, ":")
	return user, password, ok && user != "" && password != ""
}
