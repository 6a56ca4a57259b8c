package pipeline

import (
	"strings"
	"testing"

	"tallyman/contract"
)

func TestDoctorFindsAQueueThatWasDeleted(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ended(w.post("process-data", quickWork))
	well := tallyman(t, "doctor", "--wait", "1m", "--server", w.API)
	for _, part := range []string{"nats server: nats://", "stream EVENTS: ", "clock: within", "queue default: ", "ledger: as of event", "audit: ", "version: ", "bridge", "api: ready"} {
		if !strings.Contains(well.out, part) {
			t.Errorf("no line of %q", part)
		}
	}
	if well.code != 0 || well.err != "" || strings.Contains(well.out, "FAIL") {
		t.Errorf("%+v", well)
	}
	if _, err := askSQS(t.Context(), w.SQS, "DeleteQueue", map[string]any{"QueueUrl": w.Queues[contract.DefaultQueue]}); err != nil {
		t.Fatal(err)
	}
	ill := until(w, "the line", func() said { return tallyman(t, "doctor", "--server", w.API) }, func(s said) bool { return s.code == 1 })
	if ill.err != "" || !strings.Contains(ill.out, "queue default: look at ") || !strings.Contains(ill.out, "; make it, or mend its URL in the configuration\n") {
		t.Errorf("%+v", ill)
	}
	if got := tallyman(t, "doctor", "--server", "http://127.0.0.1:1"); got.code != 1 || !strings.Contains(got.out, "FAIL  tallyman  api: http://127.0.0.1:1: ") {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "doctor", "--tools"); !strings.Contains(got.out, "machine  helm: ") || !strings.Contains(got.out, "AWS_REGION") {
		t.Errorf("%+v", got)
	}
}
