package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// patience is for what a cluster does within a second or two, on a machine that has much else to do.
const patience = time.Minute

// ErrNever ends an Eventually at once: what is waited for can no longer come true.
var ErrNever = errors.New("this can no longer come true")

// Eventually asks until check returns nil, and fails the test with the last answer when the time is over.
func (c *Cluster) Eventually(within time.Duration, what string, check func(ctx context.Context) error) {
	c.t.Helper()
	if err := await(c.t.Context(), within, check); err != nil {
		c.t.Fatalf("not within %s: %s: %v", within, what, err)
	}
}

// Always asks for this long, and fails the test with the first answer that is not nil: for what must not happen. Whoever
// could not be reached has said nothing, but must have been at the end.
func (c *Cluster) Always(during time.Duration, what string, check func(ctx context.Context) error) {
	c.t.Helper()
	ctx := c.t.Context()
	over := time.NewTimer(during)
	defer over.Stop()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		unheard := new(url.Error)
		if err != nil && !errors.As(err, &unheard) {
			c.t.Fatalf("not true all the time: %s: %v", what, err)
		}
		select {
		case <-over.C:
			if err != nil {
				c.Eventually(patience, what, check)
			}
			return
		case <-ctx.Done():
			c.t.Fatalf("%s: %v", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

func await(ctx context.Context, within time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	last := errors.New("it was not asked once")
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrNever) {
			return err
		}
		if ctx.Err() == nil && !strings.Contains(err.Error(), "would exceed context deadline") {
			last = err // one that was cut off, or not asked for lack of time, says less than the one before it
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, ctx.Err())
		case <-ticker.C:
		}
	}
}
