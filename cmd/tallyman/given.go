package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// countedFromOne are the flags of which the zero stands for "not given", and whose real values begin above it.
func countedFromOne() []string { return []string{"attempt", "from", "run", "timeout"} }

// refuseEmpty refuses flags that were given and say nothing. They come of a variable that is not set, and would count as
// absent: a post without the key that protects it, the list of everything. It is for the command line alone: a variable
// of the environment that is set to nothing is none by custom.
func refuseEmpty(flags *pflag.FlagSet) error {
	var faults []string
	flags.Visit(func(f *pflag.Flag) {
		switch value := f.Value.String(); {
		case blank(f.Value):
			faults = append(faults, fmt.Sprintf("--%s is given but empty: give it a value, or leave it out", f.Name))
		case slices.Contains(countedFromOne(), f.Name) && (strings.Trim(value, "0s") == "" || strings.HasPrefix(value, "-")):
			faults = append(faults, fmt.Sprintf("--%s %s must be more than 0: give it such a value, or leave it out", f.Name, value))
		}
	})
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// blank tells whether a value, or one of several, is nothing but spaces, which a header would lose on its way.
func blank(v pflag.Value) bool {
	words := []string{v.String()}
	if list, ok := v.(pflag.SliceValue); ok {
		words = list.GetSlice()
	}
	return len(words) == 0 || slices.ContainsFunc(words, func(s string) bool { return strings.TrimSpace(s) == "" })
}
