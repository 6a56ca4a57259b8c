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
