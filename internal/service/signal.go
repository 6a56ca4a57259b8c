package service

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// exitAtOnce is what a shell gives a program that a second Ctrl-C ended.
const exitAtOnce = 130

// WithSignals ends the context at the first SIGINT or SIGTERM. A second one ends the process at once, for
// somebody who does not want to wait.
func WithSignals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
		<-signals
		os.Exit(exitAtOnce)
	}()
	return ctx, cancel
}
