package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/contract"
)

// marker stands in payloads; it may come to light in what the work itself prints, and nowhere else.
const marker = "hush-4711-hush"

// letter is a message that a stranger may put on the queue.
type letter struct {
	name       string
	body       string
	attributes map[string]string
}

// foreignLetters are not marked as ours. Those that a shell would obey would leave the file at trap, which is a path in
// whole: what runs here runs in folders that are emptied afterwards.
func foreignLetters(trap string) []letter {
	touch := "touch " + trap
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	text := func(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }
	list := []letter{
		{name: "nothing but a blank", body: " "},
		{name: "NUL", body: "a\x00" + marker},
		{name: "NUL in JSON", body: `{"a":"\u0000` + marker + `"}`},
		{name: "control characters", body: "\x01\x02\x1b[31m" + marker + "\x7f"},
		{name: "no character of Unicode", body: "\ufffe\uffff" + marker},
		{name: "half of JSON", body: `{"target":"` + marker},
		{name: "two values", body: `{"records":1}{"records":` + marker + `}`},
		{name: "one key twice", body: `{"records":1,"records":2}`},
		{name: "null", body: "null"},
		{name: "a list", body: "[1,2,3]"},
		{name: "a number beyond all numbers", body: `{"records":1e999}`},
		{name: "a number below all numbers", body: `{"records":-9223372036854775809}`},
		{name: "half of a pair", body: `{"source":"\ud800` + marker + `"}`},
		{name: "deep", body: deep(500)},
		{name: "deeper than allowed", body: deep(5000)},
		{name: "the deepest", body: deep(120 << 10)},
		{name: "256 KiB", body: text(256 << 10)},
		{name: "256 KiB and one byte", body: text(256<<10 + 1)},
		{name: "1 MiB", body: text(1 << 20)},
		{name: "more than SQS takes", body: text(1<<20 + 1)},
		{name: "YAML", body: "apiVersion: batch/v1\nkind: Job\nspec: {command: [\"touch\", \"" + trap + "\"]} # " + marker},
		{name: "shell", body: "$(" + touch + "); `" + touch + "` && " + touch + " || : '\"; " + touch + " # " + marker},
		{name: "names of the environment", body: `{"LD_PRELOAD":"` + marker + `","PATH":"/nowhere","TALLYMAN_CONFIG":"/nowhere","IFS":"x"}`},
		{name: "a way out", body: `{"source":"../../../../etc/passwd"}`},
		{name: "markup", body: `<script>alert("` + marker + `")</script>`},
		{name: "of an earlier program", body: "{'target': '" + marker + "'}"},
	}
	return append(list, letter{name: "attributes", body: quick, attributes: map[string]string{
		"LD_PRELOAD": marker, "PATH": "/nowhere", "TALLYMAN_CONFIG": "/nowhere",
		"traceparent": "00-zz\n$(" + touch + ")" + marker, "a.b-c": "'; " + touch,
	}})
}

// envelopeLetters are marked as envelopes of ours, and are none.
func envelopeLetters() []letter {
	good := func(change string) string {
		return `{"v":1,"jobId":"01a1ff4d-6889-73f0-a332-cb468c3a35f7","run":1,"type":"process-data","queue":"default",` +
			`"submittedAt":"2026-11-21T18:10:27.332Z","submitter":"me","source":"api","payload":{}` + change + `}`
	}
	list := []letter{
		{name: "no JSON", body: marker},
		{name: "empty object", body: "{}"},
		{name: "half", body: good("")[:100]},
		{name: "no payload", body: strings.Replace(good(""), `,"payload":{}`, "", 1)},
		{name: "version of a word", body: strings.Replace(good(""), `"v":1`, `"v":"1"`, 1)},
		{name: "job id that climbs", body: strings.Replace(good(""), "01a1ff4d-6889-73f0-a332-cb468c3a35f7", "../../../etc/"+marker, 1)},
		{name: "type that is a wildcard", body: strings.Replace(good(""), "process-data", ">", 1)},
		{name: "run 0", body: strings.Replace(good(""), `"run":1`, `"run":0`, 1)},
		{name: "another queue", body: strings.Replace(good(""), `"queue":"default"`, `"queue":"other"`, 1)},
		{name: "a key twice", body: good(`,"run":2`)},
		{name: "too large", body: good(`,"tags":["` + strings.Repeat("x", 400<<10) + `"]`)},
		{name: "too deep", body: strings.Replace(good(""), `"payload":{}`, `"payload":`+strings.Repeat("[", 600)+strings.Repeat("]", 600), 1)},
	}
	for i := range list {
		list[i].attributes = map[string]string{contract.AttributeVersion: "1"}
	}
	return list
}

// unknownVersion is for a processor that is yet to come.
func unknownVersion() letter {
	return letter{"of the future", `{"v":99,"what":"` + marker + `"}`, map[string]string{contract.AttributeVersion: "99"}}
}

// mail puts a letter on the default queue; false where SQS itself refuses it.
func (w *world) mail(l letter) bool {
	w.t.Helper()
	in := map[string]any{"QueueUrl": w.Queues[contract.DefaultQueue], "MessageBody": l.body}
	if l.attributes != nil {
		attributes := make(map[string]any)
		for k, v := range l.attributes {
			attributes[k] = map[string]any{"DataType": "String", "StringValue": v}
		}
		in["MessageAttributes"] = attributes
	}
	_, err := askSQS(w.t.Context(), w.SQS, "SendMessage", in)
	var refusal *sqsRefusal
	if errors.As(err, &refusal) && refusal.status == http.StatusBadRequest {
		w.t.Logf("SQS refuses %q", l.name)
		return false
	}
	if err != nil {
		w.t.Fatalf("%s: %v", l.name, err)
	}
	return true
}

// Any bytes as a message, [G8] [G9]: a job, a permanent failure or a rejection, and the rest goes on.
func TestAnyBytesAreAJobOrARejection(t *testing.T) {
	t.Parallel()
	config := contract.DevConfig()
	config.Queues[0].DefaultType = "process-data"
	config.Queues[0].Types = append(config.Queues[0].Types, contract.JobType{
		Name: "dump", Command: []string{"sh", "-c", "env"}, Timeout: config.Queues[0].Timeout,
	})
	p := newProgram(t, "--config", writeConfig(t, config), "--backoff-scale", "0.01", "--log", "debug")
	p.env = []string{"TALLYMAN_LOG=debug", "AWS_SECRET_ACCESS_KEY=" + marker, "NATS_PASSWORD=" + marker}
	p.start()
	w := p.world()
	foreign, envelopes, trap := 0, 0, filepath.Join(t.TempDir(), "pwned")
	for _, l := range foreignLetters(trap) {
		if w.mail(l) {
			foreign++
		}
	}
	for _, l := range envelopeLetters() {
		if w.mail(l) {
			envelopes++
		}
	}
	if !w.mail(unknownVersion()) {
		t.Error("SQS refuses the envelope of the future")
	}
	dump := w.post("dump", `{"LD_PRELOAD":"`+marker+`","payload":"$(env; touch `+trap+`)","TALLYMAN_QUEUE":"x","\u0000":"\u0000"}`)
	const others = 10
	ids := append(w.postAll(others, quick), dump)
	for _, id := range ids {
		if j := w.ended(id); j.State != contract.StateSucceeded {
			t.Errorf("%+v", j)
		}
	}
	s := until(w, "an end of every message", w.stats, func(s contract.Stats) bool {
		j := s.Jobs
		return j.Submitted-len(ids)+s.Units.Rejected >= foreign+envelopes && j.Succeeded+j.Failed == j.Submitted
	})
	w.balanced(s)
	if s.Units.Rejected < envelopes || s.Jobs.Submitted-len(ids)+s.Units.Rejected != foreign+envelopes {
		t.Errorf("of %d foreign messages and %d envelopes %d became jobs and %d were rejected", foreign, envelopes,
			s.Jobs.Submitted-len(ids), s.Units.Rejected)
	}
	for _, line := range p.complaints("jobs wait") {
		t.Error(line)
	}
	if s.Attempts.Disrupted > 0 || s.Units.ClaimFailed > 0 {
		t.Errorf("crashes: %+v, %+v", s.Attempts, s.Units)
	}
	w.holdsRejected(s.Units.Rejected)
	w.environmentIsOurs(dump)
	p.keepsQuiet(trap)
	if _, err := os.Lstat(trap); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a payload was executed: %v", err)
	}
}

// A shell that were given the letters, bare or in quotes, would leave its trace where the test looks for it.
func TestATrapIsSprung(t *testing.T) {
	t.Parallel()
	trap, traps := filepath.Join(t.TempDir(), "pwned"), 0
	for _, l := range foreignLetters(trap) {
		if !strings.Contains(l.body, "touch "+trap) {
			continue
		}
		traps++
		for _, quote := range []string{"", `"`, "'"} {
			_ = exec.CommandContext(t.Context(), "sh", "-c", "echo "+quote+l.body+quote).Run() // most are no program as a whole
		}
		if err := os.Remove(trap); err != nil {
			t.Errorf("%s: %v", l.name, err)
		}
	}
	if traps == 0 {
		t.Error("no letter is a trap for a shell")
	}
}

// holdsRejected looks for what was rejected on the dead-letter queue, and for the envelope of the future
// where it was: hidden for a minute, eaten by nobody.
func (w *world) holdsRejected(n int) {
	w.t.Helper()
	url := w.Queues[contract.DefaultQueue]
	visible, inFlight, _ := w.counts(url + "-dead")
	if visible+inFlight != n {
		w.t.Errorf("%d messages on the dead-letter queue, %d were rejected", visible+inFlight, n)
	}
	if visible, inFlight, _ := w.counts(url); visible+inFlight != 1 {
		w.t.Errorf("%d visible and %d in flight on the queue; the envelope of the future alone must be there", visible, inFlight)
	}
}

// environmentIsOurs holds what a command found in its environment to the closed list of what it may.
func (w *world) environmentIsOurs(id string) {
	w.t.Helper()
	_, b := w.do(http.MethodGet, "/jobs/"+id+"/logs", "")
	if !strings.Contains(string(b), "TALLYMAN_JOB_ID="+id) {
		w.t.Fatalf("the command printed no environment: %s", b)
	}
	allowed := " PATH HOME TMPDIR LANG TZ PWD OLDPWD SHLVL _ TALLYMAN_JOB_ID TALLYMAN_RUN TALLYMAN_ATTEMPT TALLYMAN_TYPE TALLYMAN_QUEUE " +
		"TALLYMAN_PAYLOAD_FILE TALLYMAN_RESULT_FILE TALLYMAN_PROGRESS_FILE TALLYMAN_STORE_DIR TALLYMAN_DATA_DIR "
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		name, value, _ := strings.Cut(line, "=")
		if !strings.Contains(allowed, " "+name+" ") || strings.Contains(value, marker) {
			w.t.Errorf("the work finds %q in its environment", line)
		}
	}
}

// keepsQuiet looks for payloads and credentials where none may be: in tallyman's own log, and in the logs
// of the pods, whose work here prints none.
func (p *program) keepsQuiet(trap string) {
	p.t.Helper()
	if code := p.stop(); code != 0 {
		p.t.Errorf("exit %d", code)
	}
	logs := []string{p.log.Name()}
	err := filepath.WalkDir(filepath.Join(p.data, "localkube", "pods"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "log" {
			logs = append(logs, path)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	spoken := false
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			p.t.Fatal(err)
		}
		spoken = spoken || len(b) > 0
		for _, secret := range []string{marker, "xxxxxxxx", trap} {
			if i := strings.Index(string(b), secret); i >= 0 {
				p.t.Errorf("%s: %s", filepath.Base(filepath.Dir(name)), fmt.Sprintf("…%.300s…", b[max(0, i-200):]))
			}
		}
	}
	if !spoken {
		p.t.Error("no log was found")
	}
}
