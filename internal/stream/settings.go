package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// Settings are what an install may choose about its streams and buckets; the rest is fixed below.
type Settings struct {
	Replicas     int           // of everything; 1 where there is one server
	EventsMaxAge time.Duration // at least as long as finished jobs' documents are kept
	EventsBytes  int64         // 0: as much as the server has
	ClaimsMaxAge time.Duration // more than twice the longest retention of a queue
	OutputMaxAge time.Duration
	OutputBytes  int64
	ScalingBytes int64
	// Look only: name what is missing, for another to make. Who may make streams may have one copy any other.
	Look bool
	// LongestRetention of any queue; ClaimsMaxAge is checked against it.
	LongestRetention time.Duration
}

// DefaultSettings suit one server and queues that keep messages up to SQS's 14 days.
func DefaultSettings() Settings {
	const day = 24 * time.Hour
	return Settings{
		Replicas: 1, EventsMaxAge: 31 * day, ClaimsMaxAge: 31 * day, OutputMaxAge: 7 * day, OutputBytes: 1 << 30,
		ScalingBytes:     64 << 20,
		LongestRetention: 14 * day,
	}
}

// LeaseTTL is how long a lease lives that nobody renews.
const LeaseTTL = 3 * time.Second

// duplicates is the window in which JetStream itself drops a repeated id; the fold drops the later ones.
const duplicates = 5 * time.Minute

// auditMaxAge is how long what a process told is kept after its last word.
const auditMaxAge = 7 * 24 * time.Hour

// A bridge that starts lists all Kubernetes Events again, which an API server keeps for an hour: the window
// in which the stream drops repeats is longer.
const (
	scalingMaxAge     = 7 * 24 * time.Hour
	scalingDuplicates = 2 * time.Hour
)

func (s *Settings) configs() []jetstream.StreamConfig {
	events := jetstream.StreamConfig{
		Name: contract.StreamEvents, Subjects: []string{contract.EventSubjects}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardOld, MaxAge: s.EventsMaxAge, MaxBytes: orUnlimited(s.EventsBytes),
		MaxMsgSize: contract.MaxEventBytes, Duplicates: duplicates, AllowDirect: true, DenyDelete: true, DenyPurge: true,
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source: contract.EventSubjects, Destination: contract.EventStored,
		},
	}
	// What Kubernetes says of units only tells why. It is bounded, so that a cluster in trouble cannot crowd
	// out the books; a year of it would help nobody.
	scaling := jetstream.StreamConfig{
		Name: contract.StreamScaling, Subjects: []string{contract.ScalingSubjects}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardOld, MaxAge: scalingMaxAge, MaxBytes: orUnlimited(s.ScalingBytes),
		MaxMsgSize: contract.MaxScalingBytes, Duplicates: scalingDuplicates, AllowDirect: true,
	}
	// Claims are read from the leader: one stale read after a lost ack would cost a run.
	claims := bucketConfig(contract.BucketClaims)
	claims.MaxAge, claims.AllowDirect = s.ClaimsMaxAge, false
	jobs := bucketConfig(contract.BucketJobs)
	// Jobs are retired by the million; without it a marker of each would stay for ever.
	jobs.AllowAtomicPublish, jobs.AllowMsgTTL = true, true
	output := bucketConfig(contract.BucketOutput)
	output.MaxAge, output.MaxBytes, output.Discard = s.OutputMaxAge, orUnlimited(s.OutputBytes), jetstream.DiscardOld
	leases := bucketConfig(contract.BucketLeases)
	leases.MaxAge, leases.AllowDirect = LeaseTTL, false
	// Who takes over from a leader goes on where that one was, which is not what a server that is behind says.
	webhooks := bucketConfig(contract.BucketWebhooks)
	webhooks.AllowDirect = false
	// What is kept there is written again and again while there is somebody to write it.
	audit := bucketConfig(contract.BucketAudit)
	audit.MaxAge = auditMaxAge
	// The stream of events is made last and looked for first: where it is, everything else is too.
	all := []jetstream.StreamConfig{scaling, claims, jobs, bucketConfig(contract.BucketSchedules), output, leases, webhooks, audit, events}
	for i := range all {
		all[i].Storage, all[i].Replicas = jetstream.FileStorage, max(s.Replicas, 1)
	}
	return all
}

// bucketConfig is a bucket as a raw stream: the client's own way to make one would turn atomic batches off.
func bucketConfig(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: contract.BucketStream(name), Subjects: []string{contract.BucketSubject(name, ">")},
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DenyDelete: true, AllowDirect: true,
		// With it, a header of one queue's message could purge every other queue's records.
		AllowRollup: false,
		MaxMsgSize:  contract.MaxRecordBytes, MaxBytes: -1, Duplicates: time.Second,
	}
}

func orUnlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// Ensure makes every stream and bucket that is missing, unless it may only look, and checks those that are
// there. It changes none: a wrong setting is named, with what is there and what is needed, for a person to
// mend.
func (s *Stream) Ensure(ctx context.Context, set Settings) error {
	if set.ClaimsMaxAge <= 2*set.LongestRetention {
		return fmt.Errorf("bucket %s: max age %s must be more than twice the longest retention of a queue, %s",
			contract.BucketClaims, set.ClaimsMaxAge, set.LongestRetention)
	}
	var faults []error
	configs := set.configs()
	if set.Look {
		slices.Reverse(configs)
	}
	for _, want := range configs {
		began := time.Now()
		if err := s.refusals.explain(s.ensure(ctx, want, set.Look), began); err != nil {
			if set.Look && errors.Is(err, ErrNotFound) {
				return err // who makes one makes all, so one is enough to name
			}
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s *Stream) ensure(ctx context.Context, want jetstream.StreamConfig, look bool) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	have, err := s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if look {
			return fmt.Errorf("stream %s is missing, and another component is to make it: %w", want.Name, ErrNotFound)
		}
		if _, err = s.js.CreateStream(ctx, want); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return wrap(err, "make stream", want.Name)
		}
		have, err = s.js.Stream(ctx, want.Name) // somebody else made it meanwhile
	}
	if err != nil {
		return wrap(err, "look at stream", want.Name)
	}
	return check(want, have.CachedInfo().Config)
}

// check compares what correctness rests on. Longer ages than asked for are welcome.
func check(want, have jetstream.StreamConfig) error {
	rows := []struct {
		setting    string
		have, want any
		ok         bool
	}{
		{"subjects", have.Subjects, want.Subjects, slices.Equal(have.Subjects, want.Subjects)},
		{"subject transform", transform(have), transform(want), transform(have) == transform(want)},
		{"retention policy", have.Retention, want.Retention, have.Retention == want.Retention},
		{"discard policy", have.Discard, want.Discard, have.Discard == want.Discard},
		{"storage", have.Storage, want.Storage, have.Storage == want.Storage},
		{"replicas", have.Replicas, want.Replicas, have.Replicas >= want.Replicas},
		{"max age", have.MaxAge, want.MaxAge, ageSuits(want, have)},
		{"max messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, want.MaxMsgsPerSubject != 1 || have.MaxMsgsPerSubject == 1},
		{"max message size", have.MaxMsgSize, want.MaxMsgSize, have.MaxMsgSize == -1 || have.MaxMsgSize >= want.MaxMsgSize},
		{"allow direct", have.AllowDirect, want.AllowDirect, want.AllowDirect || !have.AllowDirect},
		{"allow rollup", have.AllowRollup, want.AllowRollup, want.AllowRollup || !have.AllowRollup},
		{"allow atomic publish", have.AllowAtomicPublish, want.AllowAtomicPublish, have.AllowAtomicPublish || !want.AllowAtomicPublish},
		{"allow message TTL", have.AllowMsgTTL, want.AllowMsgTTL, have.AllowMsgTTL || !want.AllowMsgTTL},
		{"duplicate window", have.Duplicates, want.Duplicates, have.Duplicates >= want.Duplicates},
	}
	var faults []error
	for _, r := range rows {
		if !r.ok {
			faults = append(faults, fmt.Errorf(
				"stream %s: %s is %v, needed is %v: change it with `nats stream edit %s`, or delete the stream to have it made anew",
				want.Name, r.setting, r.have, r.want, want.Name))
		}
	}
	return errors.Join(faults...)
}

func transform(c jetstream.StreamConfig) string {
	if c.SubjectTransform == nil {
		return ""
	}
	return c.SubjectTransform.Source + " to " + c.SubjectTransform.Destination
}

// ageSuits: records must live long enough; a lease must not live longer than its holder counts on.
func ageSuits(want, have jetstream.StreamConfig) bool {
	if want.Name == contract.BucketStream(contract.BucketLeases) {
		return have.MaxAge == want.MaxAge
	}
	return have.MaxAge == 0 || want.MaxAge != 0 && have.MaxAge >= want.MaxAge
}
