package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
)

// Whether a webhook delivers. The one who delivers says how far it has come; nothing else is known here.
const (
	hookWaiting    = "waiting"    // nobody has begun yet
	hookDelivering = "delivering" // nothing is refused
	hookFailing    = "failing"
)

// webhookView is a webhook as clients see it. Of its address only the host is told: the rest may hold a secret.
type webhookView struct {
	Name      string                   `json:"name"`
	Host      string                   `json:"host"`
	Queues    []string                 `json:"queues,omitempty"`
	Types     []string                 `json:"types,omitempty"`
	Events    []contract.Kind          `json:"events,omitempty"`
	State     string                   `json:"state"`
	Seq       uint64                   `json:"seq"`
	Behind    uint64                   `json:"behind"`
	Delivered uint64                   `json:"delivered"`
	SetAside  uint64                   `json:"setAside"`
	Aside     []uint64                 `json:"aside,omitempty"`
	Missing   uint64                   `json:"missing"`
	LastAt    contract.Time            `json:"lastAt,omitzero"`
	Failing   *contract.WebhookFailure `json:"failing,omitempty"`
	Replay    *replayView              `json:"replay,omitempty"`
}

// replayView is a replay that was asked for and is not followed yet.
type replayView struct {
	From uint64        `json:"from"`
	At   contract.Time `json:"at"`
	By   string        `json:"by"`
}

// listWebhooks tells of every webhook that is declared.
func (s *Server) listWebhooks(c *fiber.Ctx) error {
	ctx, cancel := s.work()
	defer cancel()
	info, err := s.events.Info(ctx)
	if err != nil {
		return err
	}
	views := make([]webhookView, len(s.config.Webhooks))
	var work errgroup.Group
	work.SetLimit(wordsReaders)
	for i := range s.config.Webhooks {
		work.Go(func() (err error) {
			views[i], err = s.webhookView(ctx, &s.config.Webhooks[i], info.Last)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return c.JSON(map[string][]webhookView{"webhooks": views})
}

func (s *Server) webhookView(ctx context.Context, w *contract.Webhook, last uint64) (webhookView, error) {
	v := webhookView{Name: w.Name, Queues: w.Queues, Types: w.Types, Events: w.Events, State: hookWaiting}
	if u, err := url.Parse(w.URL); err == nil {
		v.Host = u.Host
	}
	var st contract.WebhookState
	found, err := s.hookRecord(ctx, contract.WebhookStateKey(w.Name), &st)
	if err != nil {
		return v, err
	}
	if found {
		v.State, v.Seq, v.Delivered, v.SetAside, v.Aside = hookDelivering, st.Seq, st.Delivered, st.SetAside, st.Aside
		v.Missing, v.LastAt, v.Failing = st.Missing, st.LastAt, st.Failing
		v.Behind = last - min(last, st.Seq)
	}
	if v.Failing != nil {
		v.State = hookFailing
	}
	var order contract.WebhookOrder
	asked, err := s.hookRecord(ctx, contract.WebhookOrderKey(w.Name), &order)
	if asked && order.ID != st.Order {
		v.Replay = &replayView{From: order.From, At: order.At, By: order.By}
	}
	return v, err
}

// hookRecord reads a record of the bucket; false where it is absent.
func (s *Server) hookRecord(ctx context.Context, key string, into any) (found bool, err error) {
	e, err := s.hooks.Get(ctx, key)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(e.Value, into); err != nil {
		return false, fmt.Errorf("record %s: %w", key, err)
	}
	return true, nil
}

// replayWebhook asks a webhook to go on from another place: an earlier one, to have events delivered again, or a
// later one, to pass over those that nobody wants any more.
func (s *Server) replayWebhook(c *fiber.Ctx) error {
	name := c.Params("name")
	if s.config.Webhook(name) == nil {
		return contract.Errorf(contract.CodeNotFound, "", "no such webhook is declared")
	}
	who, err := submitter(c)
	if err != nil {
		return err
	}
	body, err := jsonBody(c, maxPostBody)
	if err != nil {
		return err
	}
	if body == nil {
		return contract.Errorf(contract.CodeMissingField, "from", `say from where: {"from": 4711} or {"since": "1h"}`)
	}
	ctx, cancel := s.work()
	defer cancel()
	from, err := s.readReplay(ctx, body)
	if err != nil {
		return err
	}
	order := contract.WebhookOrder{V: contract.WebhookVersion, ID: s.newID(), From: from, At: contract.At(s.now()), By: who}
	b, err := json.Marshal(order)
	if err != nil {
		return err
	}
	if _, err := s.hooks.Put(ctx, contract.WebhookOrderKey(name), b); err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).JSON(map[string]any{"name": name, "from": from})
}

// readReplay gives the first sequence that is to be delivered.
func (s *Server) readReplay(ctx context.Context, body []byte) (uint64, error) {
	f, err := openForm(body)
	if err != nil {
		return 0, err
	}
	info, err := s.events.Info(ctx)
	if err != nil {
		return 0, err
	}
	next := info.Last + 1
	from := uint64(f.integer("from", 1, int(next)))
	var since time.Time
	f.text("since", "a moment like 2026-11-21T16:00:00Z, or an age like 10m", func(v string) bool {
		since, err = parseSince(v, s.now())
		return err == nil
	})
	_, byMoment := f.fields["since"]
	if _, byPlace := f.fields["from"]; byMoment == byPlace {
		f.fail(contract.CodeInvalidValue, "from", "or since is needed, and not both")
	}
	if err := f.done(); err != nil {
		return 0, err
	}
	if !byMoment {
		return from, nil
	}
	first, err := s.events.Since(ctx, since)
	if isNotFound(err) {
		return next, nil
	}
	return first, err
}
