package pipeline

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"tallyman/contract"
)

// Who stops waiting has not seen the job's end: the exit code says so, and one line that the job goes on.
func TestAnInterruptedWaitIsNoSuccess(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := command(t.Context(), t, "submit", "probe", "--wait", "--server", w.API, "--payload", `{"target":"127.0.0.1","duration":"600"}`)
		var diag bytes.Buffer
		cmd.Stderr = &diag
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("it said nothing: %v, %s", lines.Err(), &diag)
		}
		id, _, _ := strings.Cut(lines.Text(), " ")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still had to say
		}
		_ = cmd.Wait() // its state says how
		if code := cmd.ProcessState.ExitCode(); code != 130 || !oneLine(diag.String(), "interrupted: job "+id+" goes on") {
			t.Errorf("%s: code %d, %q", sig, code, &diag)
		}
		if j := w.get(id); j.State.Ended() {
			t.Errorf("the job is %s", j.State)
		}
		if status, b := w.do(http.MethodDelete, "/jobs/"+id, ""); status != http.StatusAccepted {
			t.Errorf("%d %s", status, b)
		}
		w.ended(id)
	}
}

// A job may use the command: what its environment says of itself is no wish of whoever asks.
func TestTheCommandInsideAJobAsksForWhatItIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	inside := func(args ...string) said {
		t.Helper()
		cmd := command(t.Context(), t, args...)
		cmd.Env = append(os.Environ(), "TALLYMAN_QUEUE=mine", "TALLYMAN_TYPE=own", "TALLYMAN_RUN=7", "TALLYMAN_ATTEMPT=3",
			"TALLYMAN_SERVER="+w.API, "TALLYMAN_OUTPUT=json")
		got := finish(t, cmd)
		if got.code != 0 || got.err != "" {
			t.Errorf("%v: %+v", args, got)
		}
		return got
	}
	posted := values(t, inside("submit", "--payload", `{"records":10,"failureRate":1}`).out)
	if len(posted) != 1 {
		t.Fatalf("%v", posted)
	}
	id := posted[0]["jobId"].(string)
	if j := w.ended(id); j.Queue != contract.DefaultQueue || j.Type != contract.DefaultJobType {
		t.Errorf("%+v", j)
	}
	if all := values(t, inside("list").out); len(all) != 1 || len(all[0]["jobs"].([]any)) != 1 {
		t.Errorf("%v", all)
	}
	if all := values(t, inside("stats").out); len(all) != 1 || all[0]["failedJob"] != 3.0 {
		t.Errorf("%v", all)
	}
	if all := values(t, inside("logs", id).out); len(all) != 1 || all[0]["output"] == "" {
		t.Errorf("%v", all)
	}
	if all := values(t, inside("requeue", id).out); len(all) != 1 || all[0]["run"] != 2.0 {
		t.Errorf("%v", all)
	}
}
