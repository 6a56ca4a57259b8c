package sqslocal

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"

	"github.com/jonboulle/clockwork"
)

// Options say where a Server keeps its messages and where it listens. The zero
// value is a server in memory on a free loopback port.
type Options struct {
	Path      string          // SQLite file; "" keeps everything in memory
	Addr      string          // listen address, default 127.0.0.1:0
	Region    string          // default us-east-1
	AccountID string          // twelve digits, default 000000000000
	Clock     clockwork.Clock // default the real one
	Log       *slog.Logger    // default discards
	Faults    *Faults         // nil outside of tests
}

var (
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	accountForm = regexp.MustCompile(`^\d{12}$`)
)

// withDefaults returns o with every empty field filled.
func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.AccountID == "" {
		o.AccountID = "000000000000"
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// validate names every field that cannot work, in one error.
func (o Options) validate() error {
	var faults []error
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		faults = append(faults, fmt.Errorf("Addr %q is not host:port, such as 127.0.0.1:9324: %w", o.Addr, err))
	}
	if !regionForm.MatchString(o.Region) {
		faults = append(faults, fmt.Errorf("Region %q is not an AWS region, such as us-east-1", o.Region))
	}
	if !accountForm.MatchString(o.AccountID) {
		faults = append(faults, fmt.Errorf("AccountID %q is not twelve digits", o.AccountID))
	}
	return errors.Join(faults...)
}
