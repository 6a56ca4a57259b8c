package bridge

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

func TestWordOf(t *testing.T) {
	t.Parallel()
	// The processor's own tests hold its writing to the same bytes.
	const said = `{"v":1,"unit":"u","attempt":2,"outcome":"succeeded","exitCode":0,"recorded":true,"durationMs":12,"result":{"a":1}}`
	w := wordOf(&corev1.ContainerStateTerminated{Message: said})
	if w == nil || w.Outcome != wordSucceeded || w.Attempt != 2 || w.DurationMS != 12 || string(w.Result) != `{"a":1}` || w.ExitCode == nil || !w.Recorded {
		t.Fatalf("%+v", w)
	}
	for name, message := range map[string]string{
		"nothing":         "",
		"text":            "panic: index out of range",
		"half":            said[:len(said)-3],
		"two":             said + said,
		"another version": strings.Replace(said, `"v":1`, `"v":2`, 1),
		"wrong type":      strings.Replace(said, `"attempt":2`, `"attempt":"2"`, 1),
		"too long":        said + strings.Repeat(" ", maxTermination),
	} {
		if w := wordOf(&corev1.ContainerStateTerminated{Message: message}); w != nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
	if w := wordOf(nil); w != nil {
		t.Errorf("no container: %+v", w)
	}
}

func TestAWordsExitCodeIsOfItsAttempt(t *testing.T) {
	t.Parallel()
	c := &contract.UnitRecord{Unit: "u", JobID: "j", Run: 1}
	said := func(code int) *word { return &word{Unit: "u", JobID: "j", Run: 1, Attempt: 2, ExitCode: &code} }
	for name, x := range map[string]struct {
		word    *word
		attempt int
		known   bool
	}{
		"its own":         {said(3), 2, true},
		"a signal":        {said(255), 2, true},
		"another attempt": {said(3), 1, false},
		"no attempt":      {said(3), 0, false},
		"no exit code":    {said(256), 2, false},
		"negative":        {said(-1), 2, false},
		"not said":        {&word{Unit: "u", JobID: "j", Run: 1, Attempt: 2}, 2, false},
		"no word":         {nil, 2, false},
	} {
		if code, known := x.word.exitOf(c, x.attempt); known != x.known || known && code != *x.word.ExitCode {
			t.Errorf("%s: %d, %v", name, code, known)
		}
	}
}

// A program that speaks in the processor's place may say what no record and no event can hold.
func TestAWordCanAlwaysBeRecordedAndSaid(t *testing.T) {
	t.Parallel()
	v := readView(t, "testdata/units/success-1.36.yaml")
	for name, c := range map[string]struct {
		word string
		kept bool // the result
	}{
		"too long":      {`"durationMs":1099511627777,"result":[1]`, true},
		"negative":      {`"durationMs":-1,"result":"\ud800"`, true},
		"as deep":       {`"result":` + strings.Repeat("[", maxResultDepth) + strings.Repeat("]", maxResultDepth), true},
		"too deep":      {`"result":` + strings.Repeat("[", maxResultDepth+1) + strings.Repeat("]", maxResultDepth+1), false},
		"braces in it":  {`"result":"` + strings.Repeat("[", 1000) + `"`, true},
		"none":          {`"durationMs":7`, false},
		"no such thing": {`"result":null`, true},
	} {
		w := wordOf(&corev1.ContainerStateTerminated{Message: `{"v":1,` + c.word + `}`})
		if w == nil {
			t.Fatalf("%s: not read", name)
		}
		if (w.Result != nil) != c.kept {
			t.Errorf("%s: result %s", name, w.Result)
		}
		v.Claim.Result, v.Claim.DurationMS = w.Result, w.DurationMS
		if _, err := v.Claim.Encode(); err != nil {
			t.Errorf("%s: the record: %v", name, err)
		}
		e := v.succeeded()
		if _, err := e.Encode(); err != nil {
			t.Errorf("%s: the event: %v", name, err)
		}
	}
	if w := wordOf(&corev1.ContainerStateTerminated{Message: "{\"v\":1,\"result\":\"\xff\"}"}); w != nil {
		t.Errorf("not UTF-8: %+v", w)
	}
}

func TestWordSpeaksOnlyOfItsOwnAttempt(t *testing.T) {
	t.Parallel()
	claim := &contract.UnitRecord{Unit: "u", JobID: "j", Run: 3}
	own := word{Unit: "u", JobID: "j", Run: 3, Attempt: 2}
	if !own.speaksOf(claim, 2) {
		t.Error("its own attempt is not its own")
	}
	for name, change := range map[string]func(*word){
		"another unit":    func(w *word) { w.Unit = "x" },
		"another job":     func(w *word) { w.JobID = "x" },
		"another run":     func(w *word) { w.Run = 2 },
		"another attempt": func(w *word) { w.Attempt = 1 },
	} {
		w := own
		change(&w)
		if w.speaksOf(claim, 2) {
			t.Errorf("%s is taken for its own", name)
		}
	}
	var none *word
	if none.speaksOf(claim, 2) || none.failed() {
		t.Error("no word speaks")
	}
	unnumbered := word{Unit: "u", JobID: "j", Run: 3}
	if unnumbered.speaksOf(claim, 0) {
		t.Error("a word of no attempt speaks of one")
	}
}
