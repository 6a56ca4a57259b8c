package contract

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// in is the input of one vector of names/, with what all functions together can ask for.
type in struct {
	Queue, JobType, Last, JobID, Unit, Pod, Receipt, ID, Key, Bucket, MessageID, Submitter, Schedule, S, Name string
	Run, Attempt, Limit                                                                                       int
	Kind                                                                                                      Kind
	Source                                                                                                    Source
	Reason                                                                                                    Reason
	Tick                                                                                                      Time
}

var named = map[string]func(in) any{
	"event_subject":         func(i in) any { return EventSubject(i.Queue, i.JobType, i.Kind, i.Last) },
	"progress_subject":      func(i in) any { return ProgressSubject(i.Queue, i.JobType, i.JobID) },
	"scaling_subject":       func(i in) any { return ScalingSubject(i.Queue, string(i.Reason)) },
	"event_id":              func(i in) any { return EventID(i.JobID, i.Run, i.Attempt, i.Kind) },
	"unit_event_id":         func(i in) any { return UnitEventID(i.Unit, i.Pod, i.Receipt, i.Kind) },
	"msg_id":                func(i in) any { return MsgID(i.ID, i.Source) },
	"unit_key":              func(i in) any { return UnitKey(i.Queue, i.Unit) },
	"unit_keys":             func(i in) any { return UnitKeys(i.Queue) },
	"cluster_key":           func(i in) any { return ClusterKey(i.S) },
	"run_key":               func(i in) any { return RunKey(i.Queue, i.JobID, i.Run) },
	"job_key":               func(i in) any { return JobKey(i.JobID) },
	"job_id_of_key":         func(i in) any { return orNull(JobIDOfKey(i.Key)) },
	"output_key":            func(i in) any { return OutputKey(i.Queue, i.JobID, i.Run, i.Attempt) },
	"bucket_subject":        func(i in) any { return BucketSubject(i.Bucket, i.Key) },
	"bucket_stream":         func(i in) any { return BucketStream(i.Bucket) },
	"foreign_id":            func(i in) any { return ForeignID(i.Queue, i.MessageID) },
	"key_id":                func(i in) any { return KeyID(i.Submitter, i.Key) },
	"tick_id":               func(i in) any { return TickID(i.Schedule, i.Tick.Time) },
	"receipt_hash":          func(i in) any { return ReceiptHash(i.Receipt) },
	"valid_job_id":          func(i in) any { return ValidJobID(i.S) },
	"valid_token":           func(i in) any { return ValidToken(i.S) },
	"valid_label":           func(i in) any { return ValidLabel(i.S, i.Limit) },
	"parse_time":            func(i in) any { t, err := ParseTime(i.S); return orNull(t.UnixMilli(), err == nil) },
	"reason_rank":           func(i in) any { return i.Reason.Rank() },
	"reason_infrastructure": func(i in) any { return i.Reason.Infrastructure() },
	"constants":             func(i in) any { return constants[i.Name] },
}

var constants = map[string]any{
	"StreamEvents": StreamEvents, "StreamScaling": StreamScaling, "BucketClaims": BucketClaims, "BucketJobs": BucketJobs,
	"BucketSchedules": BucketSchedules, "BucketOutput": BucketOutput, "BucketLeases": BucketLeases,
	"EventSubjects": EventSubjects, "ProgressSubjects": ProgressSubjects, "ScalingSubjects": ScalingSubjects,
	"KeyStats": KeyStats, "KeyAttention": KeyAttention, "KeyCheckpoint": KeyCheckpoint,
	"AttributeVersion": AttributeVersion, "AttributeTraceParent": AttributeTraceParent,
	"HeaderMsgID": HeaderMsgID, "HeaderTraceParent": HeaderTraceParent, "HeaderExpectedSeq": HeaderExpectedSeq,
	"HeaderContentType": HeaderContentType, "ContentTypeEvent": ContentTypeEvent, "NoType": NoType,
	"TaskVersion": TaskVersion, "ClaimVersion": ClaimVersion, "MaxDepth": MaxDepth, "MaxFields": MaxFields,
	"MaxTaskBytes": MaxTaskBytes, "MaxEnvelopeBytes": MaxEnvelopeBytes, "MaxPayloadBytes": MaxPayloadBytes,
	"MaxRun": MaxRun, "MaxTags": MaxTags, "MaxTag": MaxTag, "MaxSubmitter": MaxSubmitter,
	"MaxTimeoutSecs": MaxTimeoutSecs, "MaxDelaySeconds": MaxDelaySeconds, "MaxToken": MaxToken,
	"MaxEventBytes": MaxEventBytes, "MaxMessageBytes": MaxMessageBytes, "MaxTailBytes": MaxTailBytes,
	"MaxResultBytes": MaxResultBytes, "MaxAttempts": MaxAttempts, "MaxNameBytes": MaxNameBytes,
	"MaxDurationMS": MaxDurationMS, "MaxRecordBytes": MaxRecordBytes, "MaxReceiptBytes": MaxReceiptBytes,
}

func orNull[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}

func TestNameVectors(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "names", "*.json"))
	if err != nil || len(paths) != len(named) {
		t.Fatalf("%d files for %d functions: %v", len(paths), len(named), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkNames(t, path, named[name])
		})
	}
}

func checkNames(t *testing.T, path string, fn func(in) any) {
	b, err := os.ReadFile(path)
	if err != nil || fn == nil {
		t.Fatal("no such function, or no such file: ", err)
	}
	var rows []struct {
		Input in
		Want  any
	}
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 2 {
		t.Fatalf("%d vectors", len(rows))
	}
	for _, r := range rows {
		got, err := json.Marshal(fn(r.Input))
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(r.Want); string(got) != string(want) {
			t.Errorf("%+v: %s, want %s", r.Input, got, want)
		}
	}
}

// What nats-server and nats.go accept: a token of a subject, a key of a bucket.
var (
	legalSubject = regexp.MustCompile(`^[^\s.*>\x00-\x20\x7f]+(\.[^\s.*>\x00-\x20\x7f]+)*$`)
	legalKey     = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)
)

func TestNamesAreLegal(t *testing.T) {
	t.Parallel()
	const job, unit = "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60", "7f9c24e8-3b1a-4d5e-8f60-718293a4b5c6"
	kinds := append(Kinds(), Noop, Duplicate, Rejected, ClaimFailed)
	for _, token := range []string{"default", "_", "-", "Team-A_1", strings.Repeat("q", MaxToken)} {
		subjects := []string{ProgressSubject(token, token, job), ScalingSubject(token, "Any Reason.*>\n")}
		for _, k := range kinds {
			subjects = append(subjects, EventSubject(token, token, k, job))
		}
		for _, s := range subjects {
			if !legalSubject.MatchString(s) || len(s) > 255 {
				t.Errorf("%q is no subject", s)
			}
		}
		for _, k := range []string{
			UnitKey(token, unit), RunKey(token, job, MaxRun), OutputKey(token, job, MaxRun, MaxAttempts+1),
			JobKey(job), ClusterKey("arn:aws:eks:eu-west-1:1:cluster/prod"), KeyStats, KeyAttention, KeyCheckpoint, LeaseLedger, LeaseScheduler,
		} {
			if !legalKey.MatchString(k) {
				t.Errorf("%q is no key", k)
			}
		}
	}
}

func TestSubjectsMatchTheirPatterns(t *testing.T) {
	t.Parallel()
	const job = "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60"
	for pattern, subject := range map[string]string{
		EventSubjects:    EventSubject("q", "t", AttemptFailed, job),
		ProgressSubjects: ProgressSubject("q", "t", job),
		ScalingSubjects:  ScalingSubject("q", "Failed.Mount"),
	} {
		if !matches(pattern, subject) {
			t.Errorf("%s is not of %s", subject, pattern)
		}
	}
	if !matches(ScalingOfQueue("q"), ScalingSubject("q", "Failed.Mount")) || !matches(ScalingSubjects, ScalingOfQueue("*")) {
		t.Error("ScalingOfQueue must match what ScalingSubject makes")
	}
	if !matches(UnitKeys("q"), UnitKey("q", "u")) || matches(UnitKeys("q"), RunKey("q", job, 1)) {
		t.Error("UnitKeys must match unit records only")
	}
	// Whatever a queue is called, what is seen of it is nobody's claim: the keys differ in their number of tokens.
	for _, q := range []string{"unit", "sight", "run", "cluster"} {
		if matches(UnitKeys("*"), SightKey(q)) || SightKey(q) == ClusterKey(q) || matches(UnitKey("sight", "*"), SightKey(q)) {
			t.Errorf("%s is also another's key", SightKey(q))
		}
	}
}

func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i := range p {
		if i >= len(s) || p[i] != "*" && p[i] != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}

func TestEventNamesItselfAsNamesDo(t *testing.T) {
	t.Parallel()
	e := Event{Kind: Rejected, Source: SourceProcessor, Queue: "q", Unit: "u", Pod: "p", Receipt: ReceiptHash("r")}
	got := []string{e.ID(), e.MsgID(), e.Subject()}
	id := UnitEventID("u", "p", "r", Rejected)
	want := []string{id, MsgID(id, SourceProcessor), EventSubject("q", NoType, Rejected, "u")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a unit's fact: %q, want %q", got, want)
	}
	e = Event{Kind: Noop, Unit: "u", Pod: "p"}
	if e.ID() != UnitEventID("u", "p", "", Noop) {
		t.Errorf("without a receipt: %q", e.ID())
	}
	e = Event{Kind: Started, Queue: "q", Type: "t", JobID: "j", Run: 2, Attempt: 3}
	if e.ID() != EventID("j", 2, 3, Started) || e.Subject() != EventSubject("q", "t", Started, "j") {
		t.Errorf("a job's fact: %q %q", e.ID(), e.Subject())
	}
}
