//go:build image

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newDev stands in for `tallyman dev` in the container image, which has no processor to run jobs with. Without the
// whole pipeline linked in, a change of the api makes no new image of this command, and restarts nothing that it serves.
func newDev(*shared) *cobra.Command {
	return &cobra.Command{
		Use: "dev", Short: "Run the whole pipeline on a machine (not in this image)", DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("tallyman dev is not in this image: build the command where it is to run, with `make build`")
		},
	}
}
