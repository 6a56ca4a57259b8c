package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client speaks to the api. Its base may be a server that is about to come up.
type client struct {
	base  string
	token string
	http  *http.Client

	timeout time.Duration // of one question
}

const (
	askTimeout  = 30 * time.Second
	maxAnswer   = 64 << 20
	maxSSELine  = 4 << 20
	maxTokenLen = 4096
)

func (s *shared) client() (*client, error) {
	if !strings.HasPrefix(s.server, "http://") && !strings.HasPrefix(s.server, "https://") {
		return nil, fmt.Errorf("--server %q must begin with http:// or https://", s.server)
	}
	c := &client{base: strings.TrimSuffix(s.server, "/"), http: &http.Client{}, timeout: askTimeout}
	if s.tokenFile != "" {
		b, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		c.token = strings.TrimSpace(string(b[:min(len(b), maxTokenLen)]))
	}
	return c, nil
}

// problem is an error of the api, RFC 9457.
type problem struct {
	body   []byte // as it came
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Field  string `json:"field"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

func (p *problem) Error() string {
	lines := []string{p.Detail}
	for _, e := range p.Errors {
		if e.Detail != p.Detail {
			lines = append(lines, "  "+e.Field+": "+e.Detail)
		}
	}
	return fmt.Sprintf("%s (%d %s)", strings.Join(lines, "\n"), p.Status, p.Code)
}

// raw sends a request and gives the answer's body; anything but a 2xx is an error.
func (c *client) raw(ctx context.Context, method, path string, body any, header http.Header) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, body, header)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return b, nil
}

// ask is raw with the answer read into out.
func (c *client) ask(ctx context.Context, method, path string, body, out any) error {
	b, err := c.raw(ctx, method, path, body, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what was expected: %w", method, path, err)
	}
	return nil
}

func (c *client) send(ctx context.Context, method, path string, body any, header http.Header) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, r)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is it running? `tallyman dev` starts one, --server names another", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &problem{Status: resp.StatusCode, body: b}
	if json.Unmarshal(b, p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(resp.StatusCode)
	}
	return nil, p
}

// sse is one Server-Sent Event.
type sse struct{ id, event, data string }

// errEnough ends a follow from inside.
var errEnough = errors.New("enough")

// follow hands the events of a stream to fn, and comes back behind the last one whenever the connection
// breaks, until fn gives an error or ctx ends.
func (c *client) follow(ctx context.Context, path, lastID string, fn func(sse) error) error {
	for tries := 0; ; tries++ {
		before := lastID
		err := c.followOnce(ctx, path, &lastID, fn)
		var p *problem
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errEnough):
			return nil
		case errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusTooManyRequests, tries == 20:
			return err
		case before != lastID:
			tries = 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c *client) followOnce(ctx context.Context, path string, lastID *string, fn func(sse) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if *lastID != "" {
		header.Set("Last-Event-ID", *lastID)
	}
	resp, err := c.send(ctx, http.MethodGet, path, nil, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxSSELine)
	var e sse
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data += value
		case "":
			if e.id != "" {
				*lastID = e.id // a heartbeat may have one too: it tells how far a filter has been looked through
			}
			if e.event != "" || e.data != "" {
				if err := fn(e); err != nil {
					return err
				}
			}
			e = sse{}
		}
	}
	return lines.Err()
}
