package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	got, err := DecodeConfig([]byte(`{"queues":[{"name":"q","timeout":"10m","types":[
		{"name":"probe"},{"name":"mine","command":["/bin/mine"],"timeout":"90s","schema":{"type":"object","Any":{"Case":1}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Queues: []Queue{{
		Name: "q", Max: DefaultMax, Timeout: Duration(10 * time.Minute), Visibility: DefaultVisibility,
		Retention: DefaultRetention, DefaultType: "probe", Types: []JobType{
			{Name: "probe", Timeout: Duration(10 * time.Minute)},
			{
				Name: "mine", Command: []string{"/bin/mine"}, Timeout: Duration(90 * time.Second),
				Schema: json.RawMessage(`{"type":"object","Any":{"Case":1}}`),
			},
		},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Queue("q").Type("mine").Name != "mine" || got.Queue("x") != nil || got.Queue("q").Type("x") != nil {
		t.Error("a queue or a type is not found by its name")
	}
}

// TestConfigNamesEveryFault: whoever writes a configuration mends all of it at once.
func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := DecodeConfig([]byte(`{"Queues":[],"queues":[
		{"name":"a.b","nme":"x","max":-1,"visibility":"13h","retention":"15s","types":[]},
		{"name":"q","onLost":"cry","visibility":"1500ms","retention":"337h","defaultType":"none","types":[
			{"name":"_"},
			{"name":"mine"},
			{"name":"mine","command":[""],"schema":5,"Timeout":"1h","timeout":"999h","reruns":{"max":0,"delay":"2m","maxDelay":"1m","maxdelay":"1m"}}]},
		{"name":"q","types":[{"name":"probe","name":"probe"}]}]}`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`queues[0].name`, `queues[0].max`, `queues[0].visibility`, `queues[0].retention`, `queues[0].types:`,
		`queues[1].onLost`, `queues[1].visibility`, `queues[1].retention`, `queues[1].defaultType`, `queues[1].types[0].name`,
		`queues[1].types[1].command`, `queues[1].types[2].name: "mine" stands twice`, `queues[1].types[2].command`,
		`queues[1].types[2].schema`, `queues[1].types[2].timeout`, `queues[1].types[2].reruns`,
		`queues[2].name: "q" stands twice`, `Queues: there is no such setting`, `queues[0].nme: there is`,
		`queues[1].types[2].Timeout: there is`, `queues[1].types[2].reruns.maxdelay: there is`,
		`duplicate_key: queues[2].types[0].name`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

// A value of the wrong kind hides no other fault of its kind, and each says where it stands.
func TestConfigNamesEveryValueOfAWrongKind(t *testing.T) {
	t.Parallel()
	_, err := DecodeConfig([]byte(`{"queues":[{"name":7,"env":{},"max":"5","visibility":"1h30m","timeout":90,"types":[
		{"name":"a","name":"b","command":"python3 x.py","reruns":3,"schema":{"type":"object","enum":[1]}},
		{"name":"a","command":["x",1],"reruns":{"max":1.5,"delay":true}},
		"probe"]},
		{"name":"q","types":{"name":"probe"}}],"webhooks":"all"}`))
	if err == nil {
		t.Fatal("accepted")
	}
	want := []string{
		`configuration: queues[0].name: must be a string; in YAML, put it in quotes`,
		`queues[0].env: there is no such setting`,
		`queues[0].max: must be a whole number`,
		`queues[0].visibility: "1h30m" is not a duration like 500ms, 30s, 10m or 4h`,
		`queues[0].timeout: a duration is a string like "30s", not 90`,
		`duplicate_key: queues[0].types[0].name: stands twice`,
		`queues[0].types[1].command[1]: must be a string; in YAML, put it in quotes`,
		`queues[0].types[1].reruns.max: must be a whole number`,
		`queues[0].types[1].reruns.delay: a duration is a string like "30s", not true`,
		`queues[0].types[2]: must be an object, with names and values`,
		`queues[1].types: must be a list, like [a, b]`,
		`webhooks: must be a list, like [a, b]`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	queues := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprintf(`{"name":"q%d","types":[{"name":"probe"}]}`, i))
		}
		return `{"queues":[` + strings.Join(s, ",") + `]}`
	}
	if _, err := DecodeConfig([]byte(queues(MaxQueues))); err != nil {
		t.Error(err)
	}
	for _, s := range []string{
		``, `null`, `[]`, `{}`, `{"queues":null}`, `{"queues":[]}`, `{"queues":[],"extra":1}`, queues(MaxQueues + 1),
		queues(1) + `x`, queues(1) + queues(1), `{"queues":[],` + queues(1)[1:], // the last of two would win
		`{"queues":[{"name":"q","types":[{"name":"probe","comand":["x"]}]}]}`,
		strings.Replace(queues(1), `"types"`, `"max":"5","types"`, 1),
		strings.Replace(queues(1), `"types"`, `"timeout":5,"types"`, 1),
		strings.Replace(queues(1), `"types"`, `"timeout":null,"types"`, 1),
		queues(1) + strings.Repeat(" ", MaxConfigBytes),
	} {
		if _, err := DecodeConfig([]byte(s)); err == nil || !strings.HasPrefix(err.Error(), "configuration: ") {
			t.Errorf("%.120s: %v", s, err)
		}
	}
}

func TestDevConfigIsAConfiguration(t *testing.T) {
	t.Parallel()
	want := DevConfig()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if q := got.Queue(DefaultQueue); q == nil || q.Type(DefaultJobType) == nil {
		t.Error("a post without queue and type has nowhere to go")
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"1ms": time.Millisecond, "500ms": 500 * time.Millisecond, "30s": 30 * time.Second, "10m": 10 * time.Minute,
		"4h": 4 * time.Hour, "96h": 96 * time.Hour, "90s": 90 * time.Second, "1500ms": 1500 * time.Millisecond,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(`"`+s+`"`), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v %v", s, time.Duration(d), err)
		}
		if d.String() != s {
			t.Errorf("%s is written %s", s, d)
		}
	}
	for s, want := range map[string]string{"60s": "1m", "120m": "2h", "1000ms": "1s", "007s": "7s"} {
		var d Duration
		if err := json.Unmarshal([]byte(`"`+s+`"`), &d); err != nil || d.String() != want {
			t.Errorf("%s: %s %v", s, d, err)
		}
	}
}

func TestDurationRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`30`, `null`, `{}`, `""`, `"30"`, `"s"`, `"0s"`, `"-1s"`, `"+1s"`, `"1.5h"`, `"1h30m"`, `"1d"`, `"1 s"`, `"1S"`,
		`"5us"`, `"5ns"`, `"5µs"`, `"1sm"`, `"1e3s"`, `"9999999999s"`, `"999999999h"`, `".5s"`, `"1_0s"`,
	} {
		d := DefaultTimeout
		if err := json.Unmarshal([]byte(s), &d); err == nil || d != DefaultTimeout {
			t.Errorf("%s was accepted as %s", s, d)
		}
	}
}

// What the scheduler finds in a dead-letter queue it ends as failed, so no queue with work may be one.
func TestConfigRefusesAQueueThatIsADeadLetterQueue(t *testing.T) {
	t.Parallel()
	_, err := DecodeConfig([]byte(`{"queues":[{"name":"a","url":"http://sqs/a","deadLetter":"http://sqs/b","types":[{"name":"probe"}]},
		{"name":"b","url":"http://sqs/b","deadLetter":"http://sqs/b-dead","types":[{"name":"probe"}]}]}`))
	if want := `queues[0].deadLetter: the dead-letter queue of "a" is the queue "b" itself`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// Of two queues on one SQS queue each would run the other's jobs, and of two that share a dead-letter queue one
// would end the other's.
func TestNoTwoQueuesShareAnSQSQueue(t *testing.T) {
	t.Parallel()
	_, err := DecodeConfig([]byte(`{"queues":[{"name":"a","url":"http://sqs/a","deadLetter":"http://sqs/dead","types":[{"name":"probe"}]},
		{"name":"b","url":"http://sqs/a","deadLetter":"http://sqs/dead","types":[{"name":"probe"}]}]}`))
	for _, want := range []string{`queues[1].url: queue "a" has this URL, too`, `queues[1].deadLetter: queue "a" has this URL, too`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
