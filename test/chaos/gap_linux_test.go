package chaos

import (
	"fmt"
	"net/http"
	"testing"

	"tallyman/contract"
)

// NATS gives the number of a first message that a full disk kept it from writing to no other, and then nothing
// tells that stream from one whose first event was stored and trimmed. So the ledger says what is missing, and
// takes a person's word that nothing was in it.
func TestANumberThatWasNeverWrittenIsAGapUntilAPersonKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	l := &load{w: w}
	w.processes["nats"].fill(true)
	w.await("a post that is refused", func() error {
		status, b, err := l.ask(t.Context(), http.MethodPost, "http://"+w.at("api")+"/jobs", `{"type":"work","payload":"ok"}`, http.Header{"Content-Type": {"application/json"}})
		if err == nil && status != http.StatusServiceUnavailable {
			err = fmt.Errorf("%d %s", status, b)
		}
		return err
	})
	w.processes["nats"].fill(false)
	l.before(t.Context(), 1)
	judged := func(want contract.Balance) {
		w.await("the books", func() error {
			var s contract.Stats
			if err := w.get("http://"+w.at("api")+"/jobs/stats", &s); err != nil {
				return err
			}
			if s.Balance != want || s.Balanced == want.Gap || s.Jobs.Succeeded != 1 {
				return fmt.Errorf("balanced %v: %+v; %+v", s.Balanced, s.Balance, s.Jobs)
			}
			return nil
		})
	}
	judged(contract.Balance{Gap: true, GapAt: 1, GapTo: 1, Missing: 1})
	for _, name := range []string{"aggregator", "aggregator2"} {
		p := w.processes[name]
		p.retire()
		p.args = append(p.args, "--accept-gaps-to", "1")
		p.start()
	}
	judged(contract.Balance{GapAt: 1, GapTo: 1, Missing: 1, Accepted: 1})
	l.audit()
}
