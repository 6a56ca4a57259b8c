package service

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// EnvName is the environment variable of a flag: --nats-url is TALLYMAN_NATS_URL.
func EnvName(flag string) string {
	return "TALLYMAN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ApplyEnv sets every flag that was not given on the command line from its environment variable, and
// names every variable that has a wrong value.
func ApplyEnv(flags *pflag.FlagSet) error {
	var faults []error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(EnvName(f.Name))
		if !ok || f.Changed {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", EnvName(f.Name), err))
		}
	})
	return errors.Join(faults...)
}
