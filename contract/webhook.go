package contract

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Defaults and limits of webhooks.
const (
	MaxWebhooks       = 32
	MaxWebhookWords   = 256 // of one filter
	MaxWebhookURL     = 2048
	MaxWebhookAllow   = 32
	MaxWebhookTimeout = Duration(time.Minute)
	MaxRetryFor       = Duration(14 * 24 * time.Hour)

	DefaultWebhookTimeout = Duration(10 * time.Second)
	DefaultRetryFor       = Duration(72 * time.Hour)
)

// Webhook tells somebody else's server of events. Each is posted as it is on the stream, signed (SignWebhook),
// at least once, and those of one job in their order. An empty list of queues, types or events means all.
type Webhook struct {
	Name       string   `json:"name"`
	URL        string   `json:"url"`
	SecretFile string   `json:"secretFile"` // one secret a line; each signs, so that a new one can be brought in
	Queues     []string `json:"queues,omitempty"`
	Types      []string `json:"types,omitempty"`
	Events     []Kind   `json:"events,omitempty"`
	Timeout    Duration `json:"timeout,omitempty"`  // of one try
	RetryFor   Duration `json:"retryFor,omitempty"` // an event that is refused for so long is set aside
	Allow      []string `json:"allow,omitempty"`    // prefixes of loopback, link-local and metadata addresses that may be called
}

func (w *Webhook) setDefaults() {
	w.Timeout = orDefault(w.Timeout, DefaultWebhookTimeout)
	w.RetryFor = orDefault(w.RetryFor, DefaultRetryFor)
}

func (w *Webhook) validate(at string, fault func(string, ...any)) {
	if !ValidToken(w.Name) {
		fault("%s.name: %q must be 1 to 64 of A-Z a-z 0-9 _ -", at, w.Name)
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(w.URL) > MaxWebhookURL {
		// The address may hold a secret, so it is not said again.
		fault("%s.url: must be http:// or https:// with a host, without a user, at most %d bytes", at, MaxWebhookURL)
	}
	if w.SecretFile == "" {
		fault("%s.secretFile: name the file with the secret that signs", at)
	}
	for _, list := range []struct {
		name  string
		words []string
	}{{"queues", w.Queues}, {"types", w.Types}} {
		if len(list.words) > MaxWebhookWords || slices.ContainsFunc(list.words, func(s string) bool { return !ValidToken(s) }) {
			fault("%s.%s: must be up to %d names of 1 to 64 of A-Z a-z 0-9 _ -", at, list.name, MaxWebhookWords)
		}
	}
	for _, k := range w.Events {
		if !k.Known() {
			fault("%s.events: %q is no kind of event, like succeeded", at, k)
		}
	}
	if w.Timeout > MaxWebhookTimeout {
		fault("%s.timeout: %s is more than %s", at, w.Timeout, MaxWebhookTimeout)
	}
	if w.RetryFor > MaxRetryFor {
		fault("%s.retryFor: %s is more than %s", at, w.RetryFor, MaxRetryFor)
	}
	if len(w.Allow) > MaxWebhookAllow {
		fault("%s.allow: %d prefixes, at most %d are allowed", at, len(w.Allow), MaxWebhookAllow)
	}
	for _, p := range w.Allow {
		if _, err := netip.ParsePrefix(p); err != nil {
			fault("%s.allow: %q is no prefix like 127.0.0.0/8", at, p)
		}
	}
}

func (c *Config) validateWebhooks(fault func(string, ...any)) {
	if len(c.Webhooks) > MaxWebhooks {
		fault("webhooks: there are %d, at most %d are allowed", len(c.Webhooks), MaxWebhooks)
	}
	seen := make(map[string]bool)
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		if seen[w.Name] {
			fault("webhooks[%d].name: %q stands twice", i, w.Name)
		}
		seen[w.Name] = true
		w.validate(fmt.Sprintf("webhooks[%d]", i), fault)
	}
}

// Webhook finds a webhook by name; nil where there is none.
func (c *Config) Webhook(name string) *Webhook {
	for i := range c.Webhooks {
		if c.Webhooks[i].Name == name {
			return &c.Webhooks[i]
		}
	}
	return nil
}

// WebhookState is how far a webhook has come: its record in the bucket "webhooks", written by the one who
// delivers.
type WebhookState struct {
	V         int             `json:"v"`
	Stream    Time            `json:"stream"`            // when the stream was made that the sequences belong to
	Seq       uint64          `json:"seq"`               // all that it wants up to here was delivered, or set aside
	Reached   uint64          `json:"reached,omitempty"` // and up to here, but for those that are open; absent: no further than seq
	Open      []WebhookOpen   `json:"open,omitempty"`    // ascending
	Delivered uint64          `json:"delivered"`         // since it was declared, repeats included
	SetAside  uint64          `json:"setAside"`          // refused for longer than retryFor
	Missing   uint64          `json:"missing"`           // sequences that the stream no longer had when their turn came
	Aside     []uint64        `json:"aside,omitempty"`   // the sequences that were set aside last, to be replayed
	LastAt    Time            `json:"lastAt,omitzero"`   // of the last delivery
	Failing   *WebhookFailure `json:"failing,omitempty"` // the earliest event that is refused now
	Order     string          `json:"order,omitempty"`   // the replay that was followed last
}

// Limits of a WebhookState.
const (
	WebhookVersion = 1
	MaxAside       = 100
	MaxWebhookOpen = 256
	MaxRefusal     = 512 // bytes of what is said of a refusal
)

// WebhookOpen is an event that was handed out and has not been taken.
type WebhookOpen struct {
	Seq   uint64 `json:"seq"`
	Since Time   `json:"since,omitzero"` // when it was refused first; absent: it was not
}

// WebhookFailure is an event that is refused.
type WebhookFailure struct {
	Seq    uint64 `json:"seq"`
	Since  Time   `json:"since"`
	Tries  int    `json:"tries"`
	Status int    `json:"status,omitempty"` // of the answer; 0: there was none
	Detail string `json:"detail"`
	NextAt Time   `json:"nextAt"`
}

// WebhookOrder asks a webhook to go on from another place. It is followed once: its id then stands in the
// state.
type WebhookOrder struct {
	V    int    `json:"v"`
	ID   string `json:"id"`
	From uint64 `json:"from"` // the first sequence to be delivered
	At   Time   `json:"at"`
	By   string `json:"by"` // who asked
}

// WebhookStateKey and WebhookOrderKey are the keys of a webhook in the bucket "webhooks".
func WebhookStateKey(name string) string { return "state." + name }

// WebhookOrderKey is where the next replay of a webhook is asked for.
func WebhookOrderKey(name string) string { return "order." + name }

// WebhookOfOrder gives the webhook whose order a key is.
func WebhookOfOrder(key string) (name string, ok bool) { return strings.CutPrefix(key, "order.") }
