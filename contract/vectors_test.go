package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is one message of testdata/: a file, or an entry of generated.json.
type vector struct {
	name  string // task/invalid/missing_field.jobId.json
	kind  string // task, event, unit, run
	class string // valid, tolerated, invalid, malformed
	code  Code   // that a refused one must be refused with
	bytes []byte
}

// kinds of messages, each with the fewest vectors that each class must have. The numbers are a floor, so
// that a folder which went missing cannot pass for one whose files all passed.
var vectorFloor = map[string]map[string]int{
	"task":  {"valid": 80, "tolerated": 10, "invalid": 150, "malformed": 100},
	"event": {"valid": 90, "tolerated": 10, "invalid": 160, "malformed": 45},
	"unit":  {"valid": 50, "tolerated": 10, "invalid": 120, "malformed": 15},
	"run":   {"valid": 35, "tolerated": 4, "invalid": 50, "malformed": 14},
}

func newVector(path string, b []byte) vector {
	path = filepath.ToSlash(path)
	parts := strings.Split(path, "/")
	v := vector{name: path, bytes: b}
	if len(parts) == 3 {
		v.kind, v.class = parts[0], parts[1]
		v.code = Code(strings.Split(parts[2], ".")[0])
	}
	return v
}

// allVectors reads every message of testdata/ once.
var allVectors = sync.OnceValues(func() ([]vector, error) {
	vectors, err := generatedVectors()
	if err != nil {
		return nil, err
	}
	for kind := range vectorFloor {
		err := filepath.WalkDir(filepath.Join("testdata", kind), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			vectors = append(vectors, newVector(strings.TrimPrefix(path, "testdata"+string(filepath.Separator)), b))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return vectors, nil
})

func generatedVectors() ([]vector, error) {
	b, err := os.ReadFile(filepath.Join("testdata", "generated.json"))
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var entries []struct {
		Name, Prefix, Repeat, Middle, Close, Suffix string
		Count                                       int
	}
	if err := dec.Decode(&entries); err != nil {
		return nil, err
	}
	var vectors []vector
	for _, e := range entries {
		s := e.Prefix + strings.Repeat(e.Repeat, e.Count) + e.Middle + strings.Repeat(e.Close, e.Count) + e.Suffix
		vectors = append(vectors, newVector(e.Name, []byte(s)))
	}
	return vectors, nil
}

// vectorsOf gives the vectors of a kind and of any of the classes; kind "" is every kind.
func vectorsOf(t testing.TB, kind string, classes ...string) []vector {
	t.Helper()
	all, err := allVectors()
	if err != nil {
		t.Fatal(err)
	}
	var some []vector
	for _, v := range all {
		if kind != "" && v.kind != kind {
			continue
		}
		for _, c := range classes {
			if v.class == c {
				some = append(some, v)
			}
		}
	}
	if len(some) == 0 {
		t.Fatalf("no vectors of %q %v", kind, classes)
	}
	return some
}

// codec is one kind of message with its type hidden, so that one test serves all four.
type codec struct {
	decode func([]byte) (any, error)
	encode func(any) ([]byte, error)
}

var codecs = map[string]codec{
	"task": {
		func(b []byte) (any, error) { return DecodeTask(b) },
		func(v any) ([]byte, error) { t := v.(Task); return t.Encode() },
	},
	"event": {
		func(b []byte) (any, error) { return DecodeEvent(b) },
		func(v any) ([]byte, error) { e := v.(Event); return e.Encode() },
	},
	"unit": {
		func(b []byte) (any, error) { return DecodeUnit(b) },
		func(v any) ([]byte, error) { u := v.(UnitRecord); return u.Encode() },
	},
	"run": {
		func(b []byte) (any, error) { return DecodeRun(b) },
		func(v any) ([]byte, error) { r := v.(RunRecord); return r.Encode() },
	},
}

// parse reads JSON as values whose numbers keep their spelling.
func parse(t testing.TB, b []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %.200q", err, b)
	}
	return v
}

func TestVectorsAreAllThere(t *testing.T) {
	t.Parallel()
	count := make(map[string]map[string]int)
	for _, v := range vectorsOf(t, "", "valid", "tolerated", "invalid", "malformed") {
		if count[v.kind] == nil {
			count[v.kind] = make(map[string]int)
		}
		count[v.kind][v.class]++
	}
	for kind, classes := range vectorFloor {
		for class, least := range classes {
			if got := count[kind][class]; got < least {
				t.Errorf("testdata/%s/%s: %d vectors, at least %d", kind, class, got, least)
			}
		}
	}
	all, _ := allVectors()
	for _, v := range all {
		if _, ok := vectorFloor[v.kind][v.class]; !ok || !strings.HasSuffix(v.name, ".json") {
			t.Errorf("%s: not <kind>/<class>/<name>.json", v.name)
		}
	}
}

func TestVectorsValid(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "valid") {
		c := codecs[v.kind]
		value, err := c.decode(v.bytes)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		once, err := c.encode(value)
		if err != nil {
			t.Errorf("%s: encode: %v", v.name, err)
			continue
		}
		if !reflect.DeepEqual(parse(t, v.bytes), parse(t, once)) { // cmp takes for ever over deep nesting
			t.Errorf("%s: not the same JSON value:\n%.400s\n%.400s", v.name, v.bytes, once)
		}
		checkFixed(t, v.name, c, value, once)
	}
}

// checkFixed asserts that what was encoded decodes to the same value and encodes to the same bytes.
func checkFixed(t testing.TB, name string, c codec, value any, once []byte) {
	t.Helper()
	again, err := c.decode(once)
	if err != nil {
		t.Errorf("%s: what was encoded does not decode: %v", name, err)
		return
	}
	if !reflect.DeepEqual(value, again) {
		t.Errorf("%s: decodes to another value (-first +second):\n%s", name, cmp.Diff(value, again))
	}
	if twice, err := c.encode(again); err != nil || !bytes.Equal(once, twice) {
		t.Errorf("%s: encodes to other bytes: %v\n%.300s\n%.300s", name, err, once, twice)
	}
}

func TestVectorsTolerated(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "tolerated") {
		c := codecs[v.kind]
		value, err := c.decode(v.bytes)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		once, err := c.encode(value)
		if err != nil {
			t.Errorf("%s: encode: %v", v.name, err)
			continue
		}
		checkFixed(t, v.name, c, value, once)
	}
}

func TestVectorsRefused(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "invalid", "malformed") {
		_, err := codecs[v.kind].decode(v.bytes)
		if got := CodeOf(err); got != v.code {
			t.Errorf("%s: code %q (%v)", v.name, got, err)
		}
	}
}

// TestVectorsRefuseWithAField keeps the file's name true: what follows the code is the field.
func TestVectorsRefuseWithAField(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "invalid") {
		_, err := codecs[v.kind].decode(v.bytes)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Field == "" {
			continue
		}
		field := strings.Split(filepath.Base(v.name), ".")[1]
		got := strings.ReplaceAll(strings.Split(e.Field, "[")[0], "data.", "data_")
		if got != field && got != strings.TrimSuffix(field, "_item") {
			t.Errorf("%s: the field is %q", v.name, e.Field)
		}
	}
}

func TestVectorsKeepPayloads(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, v := range vectorsOf(t, "task", "valid") {
		task, err := DecodeTask(v.bytes)
		if err != nil || task.Foreign {
			continue
		}
		if !bytes.Contains(v.bytes, task.Payload) || !json.Valid(task.Payload) {
			t.Errorf("%s: the payload was changed: %.200s", v.name, task.Payload)
		}
		b, err := task.Encode()
		if err != nil || !bytes.HasSuffix(b, append([]byte(`"payload":`), append(task.Payload, '}')...)) {
			t.Errorf("%s: the payload was changed on its way out: %v", v.name, err)
		}
		checked++
	}
	if checked < 60 {
		t.Fatalf("only %d payloads were looked at", checked)
	}
}
