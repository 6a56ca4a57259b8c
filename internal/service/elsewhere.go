package service

import (
	"errors"
	"fmt"
	"net"
)

// Elsewhere adds what to do to an error of somebody who could not listen, by the name of the flag that says where.
// Any other error stays as it is: another address mends none of them.
func Elsewhere(err error, flag string) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" {
		return fmt.Errorf("%w; stop what listens there, or choose another address with %s", err, flag)
	}
	return err
}
