package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Limits of a delivery.
const (
	atOnce     = 8       // requests to one webhook
	maxAnswer  = 4 << 10 // of an answer is read, so that its connection can be used again
	maxSecrets = 8
	maxFile    = 64 << 10
)

// result is what became of an event, or of one try of it.
type result struct {
	seq     uint64
	over    bool
	refusal *contract.WebhookFailure // where it was refused; over: set aside
}

// deliver posts an event until it is taken, or has been refused for too long, or ctx ends, and tells results of
// each refusal. since is when it was refused first, where another process has seen that.
func (c *courier) deliver(ctx context.Context, st *stream.Stored, since time.Time, results chan<- result) {
	for tries := 1; ; tries++ {
		status, asked, err := c.try(ctx, st)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			c.tell(ctx, results, result{seq: st.Seq, over: true})
			return
		}
		now := c.o.Now()
		if since.IsZero() {
			since = now
		}
		wait := max(backoff(c.o.FirstBackoff, c.o.MaxBackoff, tries), asked)
		r := result{seq: st.Seq, over: now.Sub(since) >= time.Duration(c.hook.RetryFor), refusal: &contract.WebhookFailure{
			Seq: st.Seq, Since: contract.At(since), Tries: tries, Status: status,
			Detail: contract.CutText(err.Error(), contract.MaxRefusal), NextAt: contract.At(now.Add(wait)),
		}}
		c.tell(ctx, results, r)
		if r.over {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (c *courier) tell(ctx context.Context, results chan<- result, r result) {
	select {
	case results <- r:
	case <-ctx.Done():
	}
}

// backoff doubles with each try.
func backoff(first, most time.Duration, tries int) time.Duration {
	wait := first
	for range tries - 1 {
		if wait = 2 * wait; wait >= most {
			return most
		}
	}
	return min(wait, most)
}

// try posts an event once. Any answer but a 2xx is a refusal; asked is how long the answer asks to wait.
func (c *courier) try(ctx context.Context, st *stream.Stored) (status int, asked time.Duration, err error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	secrets, err := readSecrets(c.hook.SecretFile)
	if err != nil {
		return 0, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.hook.URL, bytes.NewReader(st.Raw))
	if err != nil {
		return 0, 0, withoutURL(err)
	}
	req.Header.Set("Content-Type", contract.ContentTypeEvent)
	req.Header.Set("User-Agent", "tallyman")
	req.Header.Set(contract.HeaderWebhook, c.hook.Name)
	req.Header.Set(contract.HeaderSequence, strconv.FormatUint(st.Seq, 10))
	req.Header.Set(contract.HeaderSignature, contract.SignWebhook(secrets, c.o.Now(), st.Raw))
	res, err := c.client.Do(req)
	if err != nil {
		return 0, 0, withoutURL(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // what it says beside its status is not ours to know
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res.StatusCode, 0, nil
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		asked = min(time.Duration(seconds)*time.Second, c.o.MaxBackoff)
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return res.StatusCode, asked, fmt.Errorf("it answered %d: redirects are not followed", res.StatusCode)
	}
	return res.StatusCode, asked, fmt.Errorf("it answered %d", res.StatusCode)
}

// withoutURL takes the address out of an error of the client: it may hold a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readSecrets reads a file anew for each delivery, so that secrets change without a restart. Its lines are
// secrets, and each signs.
func readSecrets(path string) (secrets [][]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
			continue
		case len(line) < contract.MinSecret:
			return nil, fmt.Errorf("secret %s: a line has %d bytes, at least %d are needed", path, len(line), contract.MinSecret)
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 || len(secrets) > maxSecrets || len(b) > maxFile {
		return nil, fmt.Errorf("secret %s: it must have 1 to %d lines, each a secret", path, maxSecrets)
	}
	return secrets, nil
}
