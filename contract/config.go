package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Defaults of a configuration.
const (
	DefaultQueue      = "default"
	DefaultJobType    = "process-data" // what a post without a type is
	DefaultMax        = 20
	DefaultTimeout    = Duration(time.Hour)
	DefaultVisibility = Duration(30 * time.Second)
	DefaultRetention  = Duration(4 * 24 * time.Hour)
	MaxQueues         = 256
	MaxTypes          = 256
	MaxCommand        = 64 // words of a command
	MaxUnits          = 10_000
	MaxReruns         = 100
	MaxVisibility     = Duration(12 * time.Hour)      // SQS's own
	MinRetention      = Duration(time.Minute)         // SQS's own
	MaxRetention      = Duration(14 * 24 * time.Hour) // SQS's own
	RetentionMargin   = time.Hour                     // for which documents are kept longer than any message
	MaxConfigBytes    = 1 << 20
)

// After how long a scheduler sends a run again, where it is not told otherwise: one that SQS has not taken, and one
// that waits while its queue is empty. Whoever tells people of it must be told the same.
const (
	DefaultAcceptedAfter = 30 * time.Second
	DefaultQueuedAfter   = 5 * time.Minute
)

// BuiltinTypes are the job types that the processor does by itself, with no command.
func BuiltinTypes() []string { return []string{"process-data", "probe", "store-event"} }

// Config is queues and job types, and who is told of events: the YAML that `tallyman dev --config` reads and
// the chart renders.
type Config struct {
	Queues   []Queue   `json:"queues"`
	Webhooks []Webhook `json:"webhooks,omitempty"`
}

// Queue is one SQS queue with its job types.
type Queue struct {
	Name        string    `json:"name"`
	URL         string    `json:"url,omitempty"`         // of the SQS queue; `tallyman dev` makes its own
	DeadLetter  string    `json:"deadLetter,omitempty"`  // URL of its dead-letter queue
	Image       string    `json:"image,omitempty"`       // the image of your own program
	Max         int       `json:"max,omitempty"`         // units at a time
	Timeout     Duration  `json:"timeout,omitempty"`     // of an attempt, where its type has none
	Visibility  Duration  `json:"visibility,omitempty"`  // how long SQS hides a received message
	Retention   Duration  `json:"retention,omitempty"`   // how long SQS keeps a message
	DefaultType string    `json:"defaultType,omitempty"` // what a foreign message is; by default the first type
	OnLost      OnLost    `json:"onLost,omitempty"`      // what becomes of a run whose unit is lost or deleted
	Types       []JobType `json:"types"`
}

// JobType is a kind of work.
type JobType struct {
	Name    string          `json:"name"`
	Command []string        `json:"command,omitempty"` // your own program; none for a built-in type
	Schema  json.RawMessage `json:"schema,omitempty"`  // JSON Schema of the payload
	Timeout Duration        `json:"timeout,omitempty"` // of an attempt
	Reruns  *Reruns         `json:"reruns,omitempty"`
}

// Reruns asks for further runs of a job that failed, for outages longer than Kubernetes' back-off.
type Reruns struct {
	Max      int      `json:"max"`
	Delay    Duration `json:"delay"`
	MaxDelay Duration `json:"maxDelay"`
}

// Duration is written as digits and one unit: 500ms, 30s, 10m, 4h.
type Duration time.Duration

func (d Duration) String() string {
	t := time.Duration(d)
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if t >= u.size && t%u.size == 0 {
			return fmt.Sprintf("%d%s", t/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dms", t/time.Millisecond)
}

func (d Duration) wholeSeconds() bool { return time.Duration(d)%time.Second == 0 }

// MarshalJSON writes digits and a unit.
func (d Duration) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// UnmarshalJSON reads digits and a unit.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string like \"30s\", not %s", b)
	}
	t, err := time.ParseDuration(s)
	digits := strings.TrimRight(s, "msh")
	if err != nil || t <= 0 || strings.Trim(digits, "0123456789") != "" || len(digits) > 9 {
		return fmt.Errorf("%q is not a duration like 500ms, 30s, 10m or 4h", s)
	}
	*d = Duration(t)
	return nil
}

// DecodeConfig reads a configuration as JSON, fills in the defaults, and names every fault in one error.
func DecodeConfig(b []byte) (Config, error) {
	if err := new(object).open(b, MaxConfigBytes); err != nil { // a Decoder would stop after the first value
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	checkKeys(b, reflect.TypeFor[Config](), "", fault)
	var c Config
	err := json.Unmarshal(b, &c)
	switch {
	case err == nil:
		c.setDefaults()
		c.validate(fault)
	case len(faults) == 0: // else it is of those, which say where
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// checkKeys names each key of raw that t has no field for, each that stands twice, and each value of another kind than
// its field: encoding/json would take "Name" for "name" and the last of two, and the processor would not. Nor would it take
// null for nothing, or half of a surrogate pair for a character.
func checkKeys(raw []byte, t reflect.Type, at string, fault func(string, ...any)) {
	if string(raw) == "null" {
		fault("%s: is null; leave it out instead", at)
		return
	}
	if err := wrongKind(raw, t); err != nil {
		fault("%s: %w", at, err)
		return
	}
	switch t.Kind() {
	case reflect.String:
		if _, err := unquote(string(raw)); err != nil {
			fault("%s: %w", at, err)
		}
	case reflect.Pointer:
		checkKeys(raw, t.Elem(), at, fault)
	case reflect.Slice:
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return // one JSON value of the user's own, like a schema
		}
		for i, item := range list {
			checkKeys(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i), fault)
		}
	case reflect.Struct:
		checkFields(raw, t, at, fault)
	}
}

// wrongKind says what a value must be that cannot be read as a t. What is inside of lists and objects is not looked at.
func wrongKind(raw []byte, t reflect.Type) error {
	switch t.Kind() {
	case reflect.Struct:
		if raw[0] != '{' {
			return errors.New("must be an object, with names and values")
		}
	case reflect.Slice:
		if raw[0] != '[' && t != reflect.TypeFor[json.RawMessage]() {
			return errors.New("must be a list, like [a, b]")
		}
	case reflect.String:
		if raw[0] != '"' {
			return errors.New("must be a string; in YAML, put it in quotes")
		}
	case reflect.Pointer:
		return nil // what it points to is looked at in its place
	default:
		err := json.Unmarshal(raw, reflect.New(t).Interface())
		if _, is := errors.AsType[*json.UnmarshalTypeError](err); !is {
			return err // a duration's own
		}
		if t.Kind() == reflect.Bool {
			return errors.New("must be true or false")
		}
		return errors.New("must be a whole number")
	}
	return nil
}

func checkFields(raw []byte, t reflect.Type, at string, fault func(string, ...any)) {
	if at != "" {
		at += "."
	}
	o := object{prefix: at}
	if err := o.split(string(raw), false, nil); err != nil {
		fault("%w", err)
		return
	}
	types := make(map[string]reflect.Type)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		types[name] = f.Type
	}
	for _, f := range o.fields {
		if types[f.key] == nil {
			fault("%s%s: there is no such setting", at, f.key)
			continue
		}
		checkKeys([]byte(f.raw), types[f.key], at+f.key, fault)
	}
}

func (c *Config) setDefaults() {
	for i := range c.Webhooks {
		c.Webhooks[i].setDefaults()
	}
	for i := range c.Queues {
		q := &c.Queues[i]
		q.Max = orDefault(q.Max, DefaultMax)
		q.Timeout = orDefault(q.Timeout, DefaultTimeout)
		q.Visibility = orDefault(q.Visibility, DefaultVisibility)
		q.Retention = orDefault(q.Retention, DefaultRetention)
		for j := range q.Types {
			q.Types[j].Timeout = orDefault(q.Types[j].Timeout, q.Timeout)
		}
		if q.DefaultType == "" && len(q.Types) > 0 {
			q.DefaultType = q.Types[0].Name
		}
	}
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (c *Config) validate(fault func(string, ...any)) {
	if len(c.Queues) == 0 || len(c.Queues) > MaxQueues {
		fault("queues: 1 to %d are needed, there are %d", MaxQueues, len(c.Queues))
	}
	seen, owner, swept := make(map[string]bool), make(map[string]string), make(map[string]string)
	for i := range c.Queues {
		q := &c.Queues[i]
		if seen[q.Name] {
			fault("queues[%d].name: %q stands twice", i, q.Name)
		}
		seen[q.Name] = true
		if other, ok := owner[q.URL]; ok {
			fault("queues[%d].url: queue %q has this URL, too, and their processors would take each other's jobs; give each an SQS queue of its own", i, other)
		} else if q.URL != "" {
			owner[q.URL] = q.Name
		}
		if other, ok := swept[q.DeadLetter]; ok {
			fault("queues[%d].deadLetter: queue %q has this URL, too, and what lies there is ended as a job of one of them; give each a dead-letter queue of its own", i, other)
		} else if q.DeadLetter != "" {
			swept[q.DeadLetter] = q.Name
		}
		q.validate(fmt.Sprintf("queues[%d]", i), fault)
	}
	for i := range c.Queues { // the scheduler ends as failed whatever it finds in a dead-letter queue
		q := &c.Queues[i]
		if name, ok := owner[q.DeadLetter]; ok {
			fault("queues[%d].deadLetter: the dead-letter queue of %q is the queue %q itself, whose jobs would be ended as failed; give it one of its own", i, q.Name, name)
		}
	}
	c.validateWebhooks(fault)
}

func (q *Queue) validate(at string, fault func(string, ...any)) {
	if !ValidToken(q.Name) {
		fault("%s.name: %q must be 1 to 64 of A-Z a-z 0-9 _ -", at, q.Name)
	}
	if q.Max < 1 || q.Max > MaxUnits {
		fault("%s.max: %d must be 1 to %d", at, q.Max, MaxUnits)
	}
	if !q.Visibility.wholeSeconds() || q.Visibility > MaxVisibility {
		fault("%s.visibility: %s must be whole seconds, at most %s", at, q.Visibility, MaxVisibility)
	}
	if !q.Retention.wholeSeconds() || q.Retention < MinRetention || q.Retention > MaxRetention {
		fault("%s.retention: %s must be whole seconds, %s to %s", at, q.Retention, MinRetention, MaxRetention)
	}
	if q.OnLost != "" && q.OnLost != LostFails && q.OnLost != LostReruns {
		fault("%s.onLost: %q must be %s or %s", at, q.OnLost, LostFails, LostReruns)
	}
	q.validateTypes(at, fault)
}

func (q *Queue) validateTypes(at string, fault func(string, ...any)) {
	if len(q.Types) == 0 || len(q.Types) > MaxTypes {
		fault("%s.types: 1 to %d are needed, there are %d", at, MaxTypes, len(q.Types))
	}
	seen := make(map[string]bool)
	for j := range q.Types {
		t := &q.Types[j]
		if seen[t.Name] {
			fault("%s.types[%d].name: %q stands twice", at, j, t.Name)
		}
		seen[t.Name] = true
		t.validate(fmt.Sprintf("%s.types[%d]", at, j), fault)
	}
	if len(q.Types) > 0 && !seen[q.DefaultType] {
		fault("%s.defaultType: there is no type %q in this queue", at, q.DefaultType)
	}
}

func (t *JobType) validate(at string, fault func(string, ...any)) {
	if !ValidToken(t.Name) || t.Name == NoType {
		fault("%s.name: %q must be 1 to 64 of A-Z a-z 0-9 _ -, and not _ alone", at, t.Name)
	}
	if len(t.Command) == 0 && !slices.Contains(BuiltinTypes(), t.Name) {
		fault("%s.command: %q is not a built-in type (%s), so it needs a command", at, t.Name, strings.Join(BuiltinTypes(), ", "))
	}
	if len(t.Command) > MaxCommand || len(t.Command) > 0 && t.Command[0] == "" {
		fault("%s.command: must be a program and at most %d arguments", at, MaxCommand-1)
	}
	if len(t.Schema) > 0 && !strings.Contains("{tf", string(t.Schema[:1])) {
		fault("%s.schema: must be a JSON Schema: an object, true or false", at)
	}
	if t.Timeout > Duration(MaxTimeoutSecs*time.Second) {
		fault("%s.timeout: %s is more than %ds", at, t.Timeout, MaxTimeoutSecs)
	}
	if r := t.Reruns; r != nil && (r.Max < 1 || r.Max > MaxReruns || r.Delay <= 0 || r.MaxDelay < r.Delay) {
		fault("%s.reruns: max must be 1 to %d, delay is needed, and maxDelay must be at least delay", at, MaxReruns)
	}
}

// LeastRetention is for how long documents of ended jobs must be kept: longer than SQS keeps a message of any queue.
// What comes of an older one could be of a job that is gone, and would not be counted.
func (c *Config) LeastRetention() time.Duration {
	least := time.Duration(0)
	for i := range c.Queues {
		least = max(least, time.Duration(c.Queues[i].Retention)+RetentionMargin)
	}
	return least
}

// Queue finds a queue by name; nil where there is none.
func (c *Config) Queue(name string) *Queue {
	for i := range c.Queues {
		if c.Queues[i].Name == name {
			return &c.Queues[i]
		}
	}
	return nil
}

// Type finds a job type by name; nil where there is none.
func (q *Queue) Type(name string) *JobType {
	for i := range q.Types {
		if q.Types[i].Name == name {
			return &q.Types[i]
		}
	}
	return nil
}

// DevConfig is what `tallyman dev` runs without a --config: one queue with every built-in type.
func DevConfig() Config {
	q := Queue{Name: DefaultQueue, DefaultType: "probe"}
	for _, name := range BuiltinTypes() {
		q.Types = append(q.Types, JobType{Name: name})
	}
	c := Config{Queues: []Queue{q}}
	c.setDefaults()
	return c
}
