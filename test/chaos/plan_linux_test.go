package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tallyman/internal/sqslocal"
)

// fault is one thing that goes wrong.
type fault struct {
	at   time.Duration // after the load began
	what string
	whom string
	long time.Duration // until it is mended
	sqs  []sqslocal.Fault
	off  time.Duration // of a clock that is put wrong
}

func (f fault) String() string {
	s := fmt.Sprintf("%6s  %-6s %-14s for %s", f.at, f.what, f.whom, f.long)
	if f.off != 0 {
		s += fmt.Sprintf(", by %s", f.off)
	}
	for _, r := range f.sqs {
		s += fmt.Sprintf(", kind %d of %q at %.1f", r.Kind, r.Operation, r.Share)
	}
	return s
}

// plan is everything that goes wrong in a world, in the order in which it begins.
type plan []fault

func (p plan) String() string {
	lines := make([]string, len(p))
	for i, f := range p {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

const (
	faultsOfAPlan = 9
	// raging is how long faults begin, and the load lasts.
	raging = 5 * time.Second
	// longest a fault lasts; one of five lasts longer than leases and the patience of pods.
	longest     = 2500 * time.Millisecond
	longestEver = 7 * time.Second
	mostOff     = 5 * time.Second
	granularity = 10 * time.Millisecond
)

// kinds of faults, each with whom it may befall; a kind that stands twice is twice as likely.
var kinds = []struct {
	what string
	whom []string
}{
	{"kill", programs}, {"kill", programs}, {"stop", programs}, {"pause", programs}, {"pause", programs}, {"link", wires}, {"link", wires}, {"link", wires},
	{"pod", []string{"claim", "run", "any", "stop"}}, {"pod", []string{"claim", "run", "any", "stop"}},
	{"sqs", []string{"sqs"}}, {"sqs", []string{"sqs"}}, {"disk", []string{"nats", "sqs"}},
	{"clock", append([]string{"sqs", "kube"}, mains...)}, {"clock", append([]string{"sqs", "kube"}, mains...)}, {"trim", []string{"nats"}},
}

// modes of a link that is not whole; one that stands twice is twice as likely.
var modes = []mode{slow, mute, mute, deaf, cut}

// rare are the faults that a plan has only where they are asked for.
var rare = []blow{{"orphan", "pods>nats"}, {"duplicate", "sqs"}, {"held", "aggregator>nats"}}

// newPlan makes the plan that follows from a seed, of the faults that it may have; none: of all. Who asks for some
// faults wants to see them, so there are as many as there may be, and longer ones.
func newPlan(seed uint64, only ...blow) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	var p plan
	faults := 1 + r.IntN(faultsOfAPlan)
	if len(only) > 0 {
		faults = faultsOfAPlan
	}
	for range faults {
		k := kinds[r.IntN(len(kinds))]
		f := fault{what: k.what, whom: k.whom[r.IntN(len(k.whom))], at: some(r, raging), long: some(r, longest)}
		if r.IntN(5) == 0 {
			f.long = some(r, longestEver)
		}
		if len(only) > 0 {
			one := only[r.IntN(len(only))]
			f.what, f.whom, f.long = one.what, one.whom, some(r, longestEver)
		}
		switch f.what {
		case "link":
			f.what = string(modes[r.IntN(len(modes))])
		case "clock":
			f.off = some(r, 2*mostOff) - mostOff
		case "sqs":
			f.sqs = troubles(r)
		case "duplicate":
			f.sqs = []sqslocal.Fault{{Kind: sqslocal.Duplicate, Operation: "ReceiveMessage", Share: 0.9}}
		}
		p = append(p, f)
	}
	p = p.withoutTornTrims()
	slices.SortStableFunc(p, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	if len(only) > 0 {
		p = p.oneAfterAnother()
	}
	return p
}

// blow is a kind of fault and whom it befalls: what a plan may be made of.
type blow struct{ what, whom string }

// blows are all that there are, as a plan prints them.
func blows() []blow {
	all := slices.Clone(rare)
	for _, k := range kinds {
		whats := []string{k.what}
		if k.what == "link" { // its fault is called by what it does
			whats = nil
			for _, m := range modes {
				whats = append(whats, string(m))
			}
		}
		for _, what := range whats {
			for _, whom := range k.whom {
				if b := (blow{what, whom}); !slices.Contains(all, b) {
					all = append(all, b)
				}
			}
		}
	}
	return all
}

// parseBlows reads those that a plan may have, as "mute pods>nats,pause aggregator".
func parseBlows(text string) ([]blow, error) {
	var only []blow
	for one := range strings.SplitSeq(text, ",") {
		what, whom, _ := strings.Cut(strings.TrimSpace(one), " ")
		b := blow{what, strings.TrimSpace(whom)}
		if !slices.Contains(blows(), b) {
			return nil, fmt.Errorf("%q is no fault; there are %q", one, blows())
		}
		only = append(only, b)
	}
	return only, nil
}

func some(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most/granularity))) * granularity
}

// troubles is what SQS itself may do.
func troubles(r *rand.Rand) []sqslocal.Fault {
	all := []sqslocal.Fault{
		{Kind: sqslocal.Throttle, Share: 0.7}, {Kind: sqslocal.LimitExceeded, Operation: "ReceiveMessage", Share: 0.7},
		{Kind: sqslocal.Unavailable, Share: 0.9}, {Kind: sqslocal.Broken, Share: 0.5},
		{Kind: sqslocal.LoseResponse, Share: 0.5}, {Kind: sqslocal.LoseResponse, Operation: "DeleteMessage", Share: 0.9},
		{Kind: sqslocal.LoseResponse, Operation: "SendMessageBatch", Share: 0.9},
		{Kind: sqslocal.Duplicate, Share: 0.6}, {Kind: sqslocal.Duplicate, Operation: "ReceiveMessage", Share: 0.9},
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.IntN(2)]
}

// oneAfterAnother leaves faults of a wire out that begin while another of it lasts: the end of the one ends both, and of
// nine on one wire hardly any would last.
func (p plan) oneAfterAnother() (one plan) {
	until := make(map[string]time.Duration)
	for _, f := range p {
		if slices.Contains(wires, f.whom) {
			if f.at < until[f.whom] {
				continue
			}
			until[f.whom] = f.at + f.long
		}
		one = append(one, f)
	}
	return one
}

// withoutTornTrims leaves trims out that NATS could be stopped in the middle of: it would go on trimming.
func (p plan) withoutTornTrims() plan {
	return slices.DeleteFunc(slices.Clone(p), func(f fault) bool {
		return f.what == "trim" && slices.ContainsFunc(p, func(other fault) bool {
			return other.whom == "nats" && other.what != "trim" && f.at < other.at+other.long+time.Second && other.at < f.at+2*time.Second
		})
	})
}
