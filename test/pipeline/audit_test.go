package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tallyman/contract"
	"tallyman/internal/dev"
)

// audit asks for an audit now.
func (w *world) audit() contract.AuditReport {
	w.t.Helper()
	status, b := w.do(http.MethodPost, "/audit", "")
	if status != http.StatusOK {
		w.t.Fatalf("POST /audit: %d %s", status, b)
	}
	var r contract.AuditReport
	w.read(b, &r)
	return r
}

// clean audits, and fails the test where anything does not fit or was not looked at.
func (w *world) clean() contract.AuditReport {
	w.t.Helper()
	r := w.audit()
	if !r.Clean() {
		w.t.Errorf("%+v", r)
	}
	return r
}

// finds audits until something of a kind is found, and gives all of that kind.
func (w *world) finds(kind contract.FindingKind) (all []contract.Finding) {
	w.t.Helper()
	until(w, string(kind), w.audit, func(r contract.AuditReport) bool {
		all = nil
		for _, f := range r.Findings {
			if f.Kind == kind {
				all = append(all, f)
			}
			if f.Says == "" || f.Do == "" || strings.Contains(f.Says+f.Do, "\n") {
				w.t.Errorf("%+v", f)
			}
		}
		return len(all) > 0 && r.Unaccounted > 0
	})
	return all
}

// js speaks to NATS past Tallyman, as somebody with the nats CLI does.
func (w *world) js() jetstream.JetStream {
	w.t.Helper()
	nc, err := nats.Connect(w.NATS)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

func (w *world) kv(name string) jetstream.KeyValue {
	w.t.Helper()
	kv, err := w.js().KeyValue(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return kv
}

const quickWork = `{"records":10,"pauseMs":0,"failureRate":0}`

func TestAuditOfAQuietWorldIsClean(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ended(w.post("process-data", quickWork))
	w.ended(w.post("process-data", `{"records":10,"pauseMs":0,"failureRate":1}`))
	w.ended(contract.ForeignID(contract.DefaultQueue, w.sendRaw(quickWork)))
	r := w.clean()
	if r.Looked.Documents != 3 || r.Looked.Claims != 6 || r.Looked.Events < 12 || r.Looked.From != 1 || r.Pending != 0 {
		t.Errorf("%+v", r)
	}
	if got := tallyman(t, "verify", "--server", w.API); got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "unaccounted 0") {
		t.Errorf("%+v", got)
	}
}

func TestAuditFindsADocumentAlteredByHand(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	good, bad := w.post("process-data", quickWork), w.post("process-data", quickWork)
	w.ended(good)
	w.ended(bad)
	kv := w.kv(contract.BucketJobs)
	e, err := kv.Get(t.Context(), contract.JobKey(bad))
	if err != nil {
		t.Fatal(err)
	}
	altered := strings.Replace(string(e.Value()), `"state":"succeeded"`, `"state":"failed"`, 1)
	if _, err := kv.Put(t.Context(), contract.JobKey(bad), []byte(altered)); err != nil {
		t.Fatal(err)
	}
	if f := w.finds(contract.DocumentDiffers); len(f) != 1 || f[0].JobID != bad {
		t.Errorf("%+v", f)
	}
	w.ended(w.post("process-data", quickWork)) // now it is no newer than the books
	if f := w.finds(contract.DocumentDiffers); len(f) != 1 || f[0].JobID != bad {
		t.Errorf("%+v", f)
	}
	got := tallyman(t, "verify", "--server", w.API)
	if got.code != 1 || got.err != "" || !strings.Contains(got.out, bad) || strings.Contains(got.out, good) {
		t.Errorf("%+v", got)
	}
}

func TestAuditFindsADocumentRemovedByHandAndOneMadeUp(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	gone := w.post("process-data", quickWork)
	w.ended(gone)
	kv := w.kv(contract.BucketJobs)
	e, err := kv.Get(t.Context(), contract.JobKey(gone))
	if err != nil {
		t.Fatal(err)
	}
	made := contract.KeyID("audit", "made up")
	if _, err := kv.Put(t.Context(), contract.JobKey(made), []byte(strings.ReplaceAll(string(e.Value()), gone, made))); err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), contract.JobKey(gone)); err != nil {
		t.Fatal(err)
	}
	w.ended(w.post("process-data", quickWork))
	if f := w.finds(contract.DocumentMissing); len(f) != 1 || f[0].JobID != gone {
		t.Errorf("%+v", f)
	}
	if f := w.finds(contract.DocumentUnknown); len(f) != 1 || f[0].JobID != made {
		t.Errorf("%+v", f)
	}
}

func TestAuditFindsStatsAlteredByHand(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ended(w.post("process-data", quickWork))
	kv := w.kv(contract.BucketJobs)
	key := "book." + contract.DefaultQueue + ".process-data"
	e, err := kv.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), key, append(e.Value(), ' ')); err != nil {
		t.Fatal(err)
	}
	if f := w.finds(contract.StatsDiffer); len(f) != 1 || f[0].Key != key {
		t.Errorf("%+v", f)
	}
}

func TestAuditFindsMessagesPurgedBehindOurBack(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *dev.Options) { o.Paused = true })
	lost := map[string]bool{w.post("probe", "{}"): true, w.post("probe", "{}"): true, w.post("probe", "{}"): true}
	until(w, "three queued", w.stats, func(s contract.Stats) bool { return s.Jobs.Queued == 3 })
	w.clean()
	if _, err := askSQS(t.Context(), w.SQS, "PurgeQueue", map[string]any{"QueueUrl": w.Queues[contract.DefaultQueue]}); err != nil {
		t.Fatal(err)
	}
	f := w.finds(contract.MessageMissing)
	for i := range f {
		if !lost[f[i].JobID] {
			t.Errorf("%+v", f[i])
		}
	}
	if len(f) != len(lost) {
		t.Errorf("%+v", f)
	}
	w.post("probe", "{}") // which of four are lost, SQS does not tell
	until(w, "four queued", w.stats, func(s contract.Stats) bool { return s.Jobs.Queued == 4 })
	if r := w.audit(); r.Unaccounted != 3 || len(r.Findings) != 1 || len(r.Findings[0].Jobs) != 4 {
		t.Errorf("%+v", r)
	}
}

func TestAuditFindsAClaimRemoved(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	byUnit, byRun := w.post("process-data", quickWork), w.post("process-data", quickWork)
	unit := w.ended(byUnit).Attempts[0].Unit
	w.ended(byRun)
	w.clean()
	kv := w.kv(contract.BucketClaims)
	for _, key := range []string{contract.UnitKey(contract.DefaultQueue, unit), contract.RunKey(contract.DefaultQueue, byRun, 1)} {
		if err := kv.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	until(w, "both are found", w.audit, func(r contract.AuditReport) bool { return r.Unaccounted == 2 })
	f := w.finds(contract.ClaimMissing)
	found := map[string]string{}
	for i := range f {
		found[f[i].JobID] = f[i].Unit
	}
	if len(f) != 2 || found[byUnit] != unit {
		t.Errorf("%+v", f)
	}
}

// An install that made the stream before it was protected can lose an event; ours cannot be told to.
func TestAuditFindsAnEventDeletedFromTheStream(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ended(w.post("process-data", quickWork))
	s, err := w.js().Stream(t.Context(), contract.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 2); err == nil {
		t.Fatal("an event was deleted from a stream that forbids it")
	}
	w = start(t, func(o *dev.Options) { o.Data = unprotected(t) })
	id := w.post("process-data", quickWork)
	w.ended(id)
	w.clean()
	if s, err = w.js().Stream(t.Context(), contract.StreamEvents); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if f := w.finds(contract.EventMissing); len(f) != 1 || f[0].JobID != id || f[0].Seq != 2 {
		t.Errorf("%+v", f)
	}
}

// What no document tells of is missed as well: a message that was rejected moves a sum, and no more.
func TestAuditFindsADeletedEventOfNoJob(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *dev.Options) { o.Data = unprotected(t) })
	w.ended(w.post("process-data", quickWork))
	w.mail(letter{"no JSON", marker, map[string]string{contract.AttributeVersion: "1"}})
	until(w, "it is rejected", w.stats, func(s contract.Stats) bool { return s.Units.Rejected == 1 })
	w.ended(w.post("process-data", quickWork))
	w.clean()
	s, err := w.js().Stream(t.Context(), contract.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	rejected, err := s.GetLastMsgForSubject(t.Context(), contract.StoredOfKind(contract.Rejected))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), rejected.Sequence); err != nil {
		t.Fatal(err)
	}
	f := w.finds(contract.EventMissing)
	if len(f) != 1 || f[0].JobID != "" || f[0].Seq != rejected.Sequence || f[0].Count != 1 {
		t.Errorf("%+v", f)
	}
}

// Everything goes on while audits are made, and every one of them is clean.
func TestAuditOfABusyWorldIsClean(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	posted := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil && n < 300; n++ {
			payload := quickWork
			if n%5 == 0 {
				payload = `{"records":10,"pauseMs":0,"failureRate":1}`
			}
			status, _, err := ask(ctx, http.MethodPost, w.API+"/jobs", fmt.Sprintf(`{"type":"process-data","payload":%s}`, payload), nil)
			if err != nil || status != http.StatusAccepted {
				t.Errorf("post: %d %v", status, err)
				break
			}
		}
		posted <- n
	}()
	audits, late := 0, time.After(patience)
	for n := -1; n < 0 || w.stats().Jobs.Succeeded+w.stats().Jobs.Failed < n; audits++ {
		w.clean()
		select {
		case n = <-posted:
		case <-late:
			t.Fatalf("%+v", w.stats())
		default:
		}
	}
	if audits < 3 {
		t.Errorf("only %d audits: the run was not busy", audits)
	}
	if r := w.clean(); r.Pending != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAuditFindsAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.post("process-data", quickWork)
	w.ended(id)
	until(w, "the first audit", func() int {
		status, _ := w.do(http.MethodGet, "/audit", "")
		return status
	}, func(status int) bool { return status == http.StatusOK })
	js := w.js()
	s, err := js.Stream(t.Context(), contract.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), contract.StreamEvents); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if f := w.finds(contract.StreamReplaced); len(f) != 1 || !strings.Contains(f[0].Do, "nats kv del audit stream") {
		t.Errorf("%+v", f)
	}
	if f := w.finds(contract.ClaimUnknown); len(f) != 1 || f[0].JobID != id {
		t.Errorf("%+v", f)
	}
}

// A unit's file that localkube did not write is what a Kubernetes Job is that KEDA did not make.
func TestAuditFindsAKubernetesJobMadeByHand(t *testing.T) {
	t.Parallel()
	const uid = "0c9a1f52-4a0e-4f7e-9a63-2f6c1f6f7e11"
	w := start(t, func(o *dev.Options) { o.Data = withJobByHand(t, uid) })
	w.ended(w.post("process-data", quickWork))
	if f := w.finds(contract.UnitByHand); len(f) != 1 || f[0].Unit != uid || f[0].Key != "default/by-hand" || f[0].Queue != contract.DefaultQueue {
		t.Errorf("%+v", f)
	}
}

// withJobByHand gives a data folder with a Kubernetes Job as somebody would write it who copied one of KEDA's.
func withJobByHand(t *testing.T, uid string) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "localkube", "units")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	limit, deadline, now := int32(2), int64(3600), metav1.Now()
	b, err := json.Marshal(map[string]any{"v": 1, "queue": contract.DefaultQueue, "job": &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "by-hand", Namespace: "default", UID: types.UID(uid), CreationTimestamp: now,
			Labels:      map[string]string{contract.LabelScaledJob: contract.DefaultQueue},
			Annotations: map[string]string{contract.AnnotationQueue: contract.DefaultQueue},
		},
		Spec:   batchv1.JobSpec{BackoffLimit: &limit, ActiveDeadlineSeconds: &deadline},
		Status: batchv1.JobStatus{StartTime: &now},
	}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, folder, uid+".json", string(b))
	return dir
}
