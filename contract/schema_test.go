package contract

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// written are the Go types that each schema describes, `#` for the document itself.
var written = map[string]map[string]any{
	"task.v1":      {"#": taskWire{}},
	"event.v1":     {"#": eventWire{}, "#/$defs/data": eventData{}},
	"scaling.v1":   {"#": scalingWire{}, "#/$defs/data": scalingData{}},
	"unit.v1":      {"#": unitWire{}},
	"run.v1":       {"#": runWire{}},
	"job.v1":       {"#": Job{}, "#/$defs/run": JobRun{}, "#/$defs/attempt": JobAttempt{}},
	"attention.v1": {"#": Attention{}, "#/$defs/asOf": AsOf{}, "#/$defs/item": AttentionItem{}},
	"schedule.v1":  {"#": Schedule{}},
	"config.v1":    {"#": Config{}, "#/$defs/queue": Queue{}, "#/$defs/type": JobType{}, "#/$defs/reruns": Reruns{}, "#/$defs/webhook": Webhook{}},
	"book.v1":      {"#": Book{}, "#/properties/retired": Figures{}, "#/$defs/sketch": Sketch{}},
	"stats.v1": {
		"#": Stats{}, "#/$defs/asOf": AsOf{}, "#/$defs/jobs": JobCounts{}, "#/$defs/attempts": AttemptCounts{},
		"#/$defs/latency": Latency{}, "#/$defs/sum": Sum{}, "#/$defs/audit": Audit{},
		"#/properties/units": UnitCounts{}, "#/$defs/waste": Waste{}, "#/properties/latency": Latencies{},
		"#/properties/balance": Balance{}, "#/properties/kept": Kept{}, "#/properties/window": Window{}, "#/$defs/point": Point{},
	},
}

func schemaPath(name string) string { return filepath.Join("schema", name+".schema.json") }

var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	schemas := make(map[string]*jsonschema.Schema)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	for name := range written {
		s, err := c.Compile(schemaPath(name))
		if err != nil {
			return nil, err
		}
		schemas[name] = s
	}
	return schemas, nil
})

// judge gives the schema's verdict on b.
func judge(t testing.TB, name string, b []byte) error {
	t.Helper()
	schemas, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v in %.200q", err, b)
	}
	return schemas[name].Validate(v)
}

func TestSchemaJudgesVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "valid", "tolerated", "invalid") {
		err := judge(t, v.kind+".v1", v.bytes)
		if accepted := err == nil; accepted != (v.class == "valid") {
			t.Errorf("%s: the schema accepts: %v (%v)", v.name, accepted, err)
		}
	}
}

// TestSchemaAcceptsWhatToleratedBecomes keeps "be liberal in what you accept" from leaking back out.
func TestSchemaAcceptsWhatToleratedBecomes(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "", "tolerated") {
		value, err := codecs[v.kind].decode(v.bytes)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		b, err := codecs[v.kind].encode(value)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		if err := judge(t, v.kind+".v1", b); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
	}
}

func readSchema(t *testing.T, name string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(schemaPath(name))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b).(map[string]any)
}

func TestEverySchemaIsWritten(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(schemaPath("*"))
	if err != nil || len(paths) != len(written) {
		t.Fatalf("%d schemas for %d documents: %v", len(paths), len(written), err)
	}
}

// TestSchemaHasTheFieldsOfTheTypes compares the names and the required ones, so that neither side can gain
// or lose a field alone.
func TestSchemaHasTheFieldsOfTheTypes(t *testing.T) {
	t.Parallel()
	for name, types := range written {
		doc := readSchema(t, name)
		for path, v := range types {
			part := at(t, doc, path)
			names, required := fieldsOf(v)
			switch name { // Encode splices the payload in
			case "task.v1":
				names = append(names, "payload")
			case "schedule.v1":
				required = append(required, "payload")
			}
			slices.Sort(names)
			slices.Sort(required)
			if diff := cmp.Diff(names, keys(part["properties"])); diff != "" {
				t.Errorf("%s %s: fields (-Go +schema):\n%s", name, path, diff)
			}
			if diff := cmp.Diff(required, stringsOf(part["required"])); diff != "" {
				t.Errorf("%s %s: required (-Go +schema):\n%s", name, path, diff)
			}
			if part["additionalProperties"] != false {
				t.Errorf("%s %s: additionalProperties must be false", name, path)
			}
		}
	}
}

// at follows a JSON pointer that has no escapes.
func at(t *testing.T, doc map[string]any, path string) map[string]any {
	t.Helper()
	for _, step := range strings.Split(path, "/")[1:] {
		next, ok := doc[step].(map[string]any)
		if !ok {
			t.Fatalf("no %s of %s", step, path)
		}
		doc = next
	}
	return doc
}

func keys(v any) []string {
	m, _ := v.(map[string]any)
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, s := range list {
		out = append(out, s.(string))
	}
	slices.Sort(out)
	return out
}

// fieldsOf gives the JSON names of a struct's fields, and those that are always written.
func fieldsOf(v any) (names, required []string) {
	for f := range reflect.TypeOf(v).Fields() {
		if f.Anonymous {
			n, r := fieldsOf(reflect.Zero(f.Type).Interface())
			names, required = append(names, n...), append(required, r...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if !strings.HasPrefix(options, "omit") {
			required = append(required, name)
		}
	}
	return names, required
}

// TestSchemaTellsPeople asks for a description of every property.
func TestSchemaTellsPeople(t *testing.T) {
	t.Parallel()
	for name, types := range written {
		doc := readSchema(t, name)
		if doc["title"] == nil || doc["description"] == nil || doc["$id"] != "urn:tallyman:"+name {
			t.Errorf("%s: wants title, description and its $id", name)
		}
		for path := range types {
			for key, v := range at(t, doc, path)["properties"].(map[string]any) {
				property := v.(map[string]any)
				if ref, ok := property["$ref"].(string); ok && property["description"] == nil {
					property = at(t, doc, ref)
				}
				if property["description"] == nil {
					t.Errorf("%s %s: %s has no description", name, path, key)
				}
			}
		}
	}
}

func TestSchemaHasTheClosedSets(t *testing.T) {
	t.Parallel()
	for name := range written {
		defs, _ := readSchema(t, name)["$defs"].(map[string]any)
		for def, want := range map[string]any{"reason": Reasons(), "state": States(), "span": Spans()} {
			if d, ok := defs[def].(map[string]any); ok && !sameJSON(t, d["enum"], want) {
				t.Errorf("%s: %s is %v, want %v", name, def, d["enum"], want)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func TestSchemaAcceptsDocuments(t *testing.T) {
	t.Parallel()
	now, _ := ParseTime("2026-11-21T16:00:00.000Z")
	const job = "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60"
	attempt := JobAttempt{
		Attempt: 1, ClaimedAt: now, StartedAt: now, EndedAt: now, Ending: EndingFailed, Reason: Panic,
		Infrastructure: OOMKilled, EndingSeq: 5, SaidBy: SourceBridge,
	}
	run := JobRun{
		Run: 1, SubmittedAt: now, QueuedAt: now, MadeAt: now, Millicores: 1, MiB: 1, EndedAt: now, Outcome: OutcomeFailed, Reason: Panic, TaskSeq: 1,
		OutcomeSeq: 6, SaidBy: SourceBridge, Attempts: []JobAttempt{attempt, {Attempt: 2}},
	}
	least := Job{
		V: 1, JobID: job, Queue: "q", Type: "t", State: StateAccepted, SubmittedAt: now, UpdatedAt: now, Run: 1,
		Runs: []JobRun{{Run: 1}}, Events: []uint64{1},
	}
	most := least
	most.State, most.Reason, most.EndedAt, most.Attempt = StateFailed, Panic, now, 2
	most.Runs, most.More, most.Orphan = []JobRun{run}, 3, true
	rule := Schedule{
		V: 1, ID: "s", Cron: "* * * * *", TimeZone: "UTC", Queue: "q", Type: "t", Payload: json.RawMessage("null"),
		Submitter: "api", CreatedAt: now,
	}
	fired := rule
	fired.Tags, fired.TimeoutSeconds, fired.LastTick, fired.LastJobID = []string{"a"}, 5, now, job
	sum := Sum{Failures: map[Reason]int{Panic: 1}}
	asOf := AsOf{Seq: 7, Time: now}
	cfg := DevConfig()
	cfg.Queues[0].Types = append(cfg.Queues[0].Types, JobType{
		Name: "mine", Command: []string{"/bin/mine", ""}, Schema: json.RawMessage(`{"type":"object"}`),
		Reruns: &Reruns{Max: 3, Delay: DefaultTimeout, MaxDelay: DefaultTimeout},
	})
	cfg.Queues[0].OnLost = LostReruns
	cfg.Webhooks = []Webhook{{
		Name: "ours", URL: "https://hooks.example/x", SecretFile: "/s", Queues: []string{"q"}, Types: []string{"mine"},
		Events: []Kind{Failed}, Timeout: DefaultWebhookTimeout, RetryFor: DefaultRetryFor, Allow: []string{"10.0.0.0/8"},
	}}
	for _, c := range []struct {
		name string
		v    any
	}{
		{"job.v1", least},
		{"job.v1", most},
		{"stats.v1", Stats{Failures: map[Reason]int{}, ByQueue: map[string]Sum{}, ByType: map[string]Sum{}}},
		{"stats.v1", Stats{
			AsOf: asOf, Failures: map[Reason]int{Lost: 2}, ByQueue: map[string]Sum{"q": sum}, ByType: map[string]Sum{"t": sum},
			Balance: Balance{Gap: true, GapAt: 4, GapTo: 9, Missing: 3, Accepted: 4}, Audit: &Audit{At: now, Unaccounted: 1, Jobs: []string{job}},
		}},
		{"stats.v1", Stats{
			Failures: map[Reason]int{}, ByQueue: map[string]Sum{}, ByType: map[string]Sum{}, Kept: KeptAt(now.UnixMilli()),
			Window: &Window{Since: now, Until: now}, Series: []Point{{At: now, Span: Hour}},
		}},
		{"book.v1", Book{V: BookVersion, Queue: OtherBooks, Type: OtherBooks, Retired: &Figures{}}},
		{"book.v1", Book{
			V: BookVersion, Queue: "q", Type: NoType, Span: Minute, At: now,
			Figures: Figures{Sums: Sums{CellNoop: 3}, Latency: Sketches{StageUnit: {Total: 5, Buckets: []int64{5, 1}}}},
		}},
		{"attention.v1", Attention{
			V: 1, AsOf: asOf, More: 1, Accepted: []AttentionItem{},
			Queued: []AttentionItem{{JobID: job, Run: 1, Queue: "q", Type: "t", Since: now, TaskSeq: 3}},
		}},
		{"schedule.v1", rule},
		{"schedule.v1", fired},
		{"config.v1", cfg},
	} {
		b, err := json.Marshal(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if err := judge(t, c.name, b); err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, b)
		}
	}
}
