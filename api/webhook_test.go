package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

func (w *world) webhook() webhookView {
	w.t.Helper()
	var list struct{ Webhooks []webhookView }
	a := w.get("/webhooks").want(200)
	a.into(&list)
	if len(list.Webhooks) != 1 || strings.Contains(string(a.body), "token") {
		w.t.Fatalf("%s", a.body)
	}
	return list.Webhooks[0]
}

func TestWebhooksAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("", contract.StateQueued)
	if v := w.webhook(); v.State != hookWaiting || v.Host != "hooks.example:444" || v.Events[0] != contract.Failed {
		t.Errorf("%+v", v)
	}
	put := func(key string, record any) {
		t.Helper()
		b, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.bucket(contract.BucketWebhooks).Put(t.Context(), key, b); err != nil {
			t.Fatal(err)
		}
	}
	st := contract.WebhookState{V: 1, Stream: contract.At(time.Now()), Seq: 1, Delivered: 5, SetAside: 2, Aside: []uint64{3, 4}, LastAt: contract.At(time.Now())}
	put(contract.WebhookStateKey("ours"), st)
	if v := w.webhook(); v.State != hookDelivering || v.Behind != 1 || v.Delivered != 5 || len(v.Aside) != 2 {
		t.Errorf("%+v", v)
	}
	now := contract.At(time.Now())
	st.Failing = &contract.WebhookFailure{Seq: 2, Since: now, Tries: 3, Status: 500, Detail: "it answered 500", NextAt: now}
	put(contract.WebhookStateKey("ours"), st)
	if v := w.webhook(); v.State != hookFailing || v.Failing.Tries != 3 {
		t.Errorf("%+v", v)
	}
	w.do("POST", "/webhooks/ours/replay", `{"from":1}`, header{"X-Submitter", "ann"}).want(202)
	if v := w.webhook(); v.Replay == nil || v.Replay.From != 1 || v.Replay.By != "ann" {
		t.Errorf("%+v", v.Replay)
	}
	e, err := w.bucket(contract.BucketWebhooks).Get(t.Context(), contract.WebhookOrderKey("ours"))
	if err != nil {
		t.Fatal(err)
	}
	var order contract.WebhookOrder
	if err := json.Unmarshal(e.Value, &order); err != nil || order.V != 1 {
		t.Errorf("%s: %v", e.Value, err)
	}
	st.Order = order.ID
	put(contract.WebhookStateKey("ours"), st)
	if v := w.webhook(); v.Replay != nil {
		t.Errorf("followed, and still told: %+v", v.Replay)
	}
}

func TestReplayBeginsWhereItIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("", contract.StateQueued)
	for body, want := range map[string]uint64{`{"from":2}`: 2, `{"from":3}`: 3, `{"since":"1h"}`: 1, `{"since":"0s"}`: 3, `{"since":"2026-01-01T00:00:00Z"}`: 1} {
		var r struct{ From uint64 }
		w.do("POST", "/webhooks/ours/replay", body).want(202).into(&r)
		if r.From != want {
			t.Errorf("%s: from %d, want %d", body, r.From, want)
		}
	}
	for _, body := range []string{"", "{}", `{"from":0}`, `{"from":4}`, `{"from":1,"since":"1h"}`, `{"since":"soon"}`, `{"form":1}`} {
		w.do("POST", "/webhooks/ours/replay", body).want(400)
	}
}
