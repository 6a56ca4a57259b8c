package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"tallyman/contract"
)

// producer posts a load of which it knows how it must end, and then holds the books to it.
type producer struct {
	c          *client
	count      int
	interval   time.Duration
	bad        string
	duplicates int
	seed       uint64
	queue      string
	printAs    string
	patience   time.Duration
}

// produced is the summary; its first fields are the original producer's.
type produced struct {
	TotMsgs       int      `json:"tot_msgs"`
	BadMsgs       int      `json:"bad_msgs"`
	SaleEvents    int      `json:"sale_evnts"`
	InventoryEvts int      `json:"inventory_evnts"`
	TotSales      float64  `json:"tot_sales"`
	Duplicates    int      `json:"duplicates"`
	Succeeded     int      `json:"succeeded"`
	Failed        int      `json:"failed"`
	Others        int      `json:"others,omitempty"` // jobs of the type that others had under way meanwhile
	Status        bool     `json:"status"`
	Differences   []string `json:"differences,omitempty"`
}

const (
	produceType     = "store-event"
	produceWorkers  = 16
	maxProduce      = 10_000_000
	maxDifferences  = 20
	settleEvery     = 200 * time.Millisecond
	defaultPatience = 10 * time.Minute
)

// ordersFile is made by it, and read by the first job of `tallyman dev --demo`; like every source it is looked for below --files.
const ordersFile = "examples/orders.csv"

func newProduce(s *shared) *cobra.Command {
	var p producer
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Post a load of events, and check that the books agree with it",
		Long: "Post sale and inventory events as store-event jobs, wait for their end, and compare what was posted\n" +
			"with what became of each job and with the stats: good events succeed, bad ones fail for good without\n" +
			"a retry, duplicates make no second job. Exits with 1 on any difference. Several may run at a time: each holds\n" +
			"its own jobs to what it posted, and where there are others' store-event jobs, the stats to be at least that.",
		Example: "  tallyman produce --count 1000 --bad 10% --duplicates 100 --seed 7\n" +
			"  tallyman produce --count 1000 --seed 7 --print csv > orders.csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rate, err := p.validate()
			if err != nil {
				return err
			}
			if p.printAs != "" {
				return writeSales(cmd.OutOrStdout(), newSales(p.seed, rate), p.count, p.printAs)
			}
			if p.c, err = s.client(); err != nil {
				return err
			}
			sum, err := p.run(cmd.Context(), newSales(p.seed, rate))
			if err != nil {
				return interrupted(cmd.Context(), err, "jobs that were posted go on, and nothing was held to the books")
			}
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(sum); err != nil {
				return err
			}
			if sum.Others > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "tallyman: %d store-event jobs of others were under way: the stats were held to be at least what was posted\n", sum.Others)
			}
			if !sum.Status {
				return &exit{code: exitBad, err: errors.New("the books do not agree with what was posted")}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&p.count, "count", 100, "how many events")
	f.DurationVar(&p.interval, "interval", 0, "wait this long between two")
	f.StringVar(&p.bad, "bad", "0%", "share of events without a store_id")
	f.IntVar(&p.duplicates, "duplicates", 0, "post this many of them twice")
	f.Uint64Var(&p.seed, "seed", 1, "the same seed makes the same events")
	f.StringVar(&p.queue, "queue", "", "the queue (the api's default)")
	f.StringVar(&p.printAs, "print", "", "print the events as csv or ndjson and post nothing")
	f.DurationVar(&p.patience, "patience", defaultPatience, "how long to wait for the last job to end")
	return cmd
}

func (p *producer) validate() (badRate float64, err error) {
	digits, percent := strings.CutSuffix(p.bad, "%")
	rate, err := strconv.ParseFloat(digits, 64)
	if percent {
		rate /= 100
	}
	switch {
	case err != nil || rate < 0 || rate > 1:
		return 0, fmt.Errorf("--bad %q must be a share like 10%% or 0.1", p.bad)
	case p.count < 1 || p.count > maxProduce:
		return 0, fmt.Errorf("--count must be 1 to %d", maxProduce)
	case p.duplicates < 0 || p.duplicates > p.count:
		return 0, errors.New("--duplicates must be 0 to --count")
	case p.interval < 0:
		return 0, errors.New("--interval must not be negative")
	}
	return rate, nil
}

func (p *producer) run(ctx context.Context, s *sales) (*produced, error) {
	before, err := p.books(ctx)
	if err != nil {
		return nil, err
	}
	sum := &produced{TotMsgs: p.count, Duplicates: p.duplicates}
	events := make([]sale, p.count)
	for i := range events {
		events[i] = s.next()
		sum.add(&events[i])
	}
	ids, err := p.postAll(ctx, events, sum)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(p.patience)
	if err := p.holdJobs(ctx, sum, events, ids, until); err != nil {
		return nil, err
	}
	return sum, p.holdSums(ctx, sum, before, until)
}

func (s *produced) add(e *sale) {
	if e.BadMsg {
		s.BadMsgs++
	}
	if e.EventType == saleEvent {
		s.SaleEvents++
		s.TotSales += e.Price * float64(e.Qty)
	} else {
		s.InventoryEvts++
	}
}

func (s *produced) differ(format string, args ...any) {
	if len(s.Differences) < maxDifferences {
		s.Differences = append(s.Differences, fmt.Sprintf(format, args...))
	}
}

// postAll posts every event once and the first of them twice, and gives the job of each.
func (p *producer) postAll(ctx context.Context, events []sale, sum *produced) ([]string, error) {
	load := uuid.NewString() // tells this load's keys from every other's
	ids := make([]string, len(events))
	work := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range produceWorkers {
		wg.Go(func() {
			for i := range work {
				id, err := p.post(ctx, load, i%len(events), &events[i%len(events)])
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				if first := ids[i%len(events)]; first != "" && first != id {
					sum.differ("event %d was posted twice and became two jobs, %s and %s", i, first, id)
				}
				ids[i%len(events)] = id
				mu.Unlock()
			}
		})
	}
	p.feed(ctx, work, len(events)+p.duplicates)
	wg.Wait()
	return ids, context.Cause(ctx)
}

// feed hands out the numbers of the posts; those beyond the count are the duplicates.
func (p *producer) feed(ctx context.Context, work chan<- int, n int) {
	defer close(work)
	for i := range n {
		select {
		case <-ctx.Done():
			return
		case work <- i:
		}
		if p.interval > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.interval):
			}
		}
	}
}

func (p *producer) post(ctx context.Context, load string, n int, e *sale) (string, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	b, err := p.c.raw(ctx, http.MethodPost, "/jobs", post{Type: produceType, Queue: p.queue, Payload: payload},
		http.Header{"Idempotency-Key": {fmt.Sprintf("produce/%s/%d", load, n)}})
	if err != nil {
		return "", err
	}
	var r receipt
	return r.JobID, json.Unmarshal(b, &r)
}

func (p *producer) books(ctx context.Context) (contract.Sum, error) {
	var st contract.Stats
	err := p.c.ask(ctx, http.MethodGet, "/jobs/stats", nil, &st)
	return st.ByType[produceType], err
}

func ended(s contract.Sum) int { return s.Jobs.Succeeded + s.Jobs.Failed + s.Jobs.Cancelled }

// settled gives a job as it ended, or as it is when the time is over.
func (p *producer) settled(ctx context.Context, id string, until time.Time) (job, error) {
	for {
		var j job
		err := p.c.ask(ctx, http.MethodGet, "/jobs/"+id, nil, &j)
		if err != nil && !behind(err) || j.State.Ended() || !time.Now().Before(until) {
			return j, err
		}
		if err := rest(ctx); err != nil {
			return j, err
		}
	}
}

// behind tells whether the api only says that the books have not come so far yet.
func behind(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.Status == http.StatusServiceUnavailable
}

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settleEvery):
		return nil
	}
}

// holdJobs holds each job, when it has ended, to what was posted.
func (p *producer) holdJobs(ctx context.Context, sum *produced, events []sale, ids []string, until time.Time) error {
	var late []string
	for i, id := range ids {
		j, err := p.settled(ctx, id, until)
		if err != nil && !behind(err) {
			return err
		}
		want := contract.StateSucceeded
		if events[i].BadMsg {
			want = contract.StateFailed
		}
		switch j.State {
		case contract.StateSucceeded:
			sum.Succeeded++
		case contract.StateFailed:
			sum.Failed++
		}
		switch {
		case !j.State.Ended():
			late = append(late, id)
		case j.State != want:
			sum.differ("job %s is %s, %s was expected", id, withReason(string(j.State), j.Reason), want)
		}
		if want == contract.StateFailed && len(j.Attempts) > 1 {
			sum.differ("job %s is of a bad event and had %d attempts", id, len(j.Attempts))
		}
	}
	if len(late) > 0 {
		sum.differ("after %s %d of %d jobs have not ended, like %s", p.patience, len(late), len(ids), late[0])
	}
	return nil
}

// holdSums holds what the stats count more than before to what was posted. Where others' jobs of the type may have ended,
// too, it can only be at least that.
func (p *producer) holdSums(ctx context.Context, sum *produced, before contract.Sum, until time.Time) error {
	good := sum.TotMsgs - sum.BadMsgs
	for {
		now, err := p.books(ctx)
		if err != nil {
			return err
		}
		succeeded, failed := now.SucceedJob-before.SucceedJob, now.Jobs.Failed-before.Jobs.Failed
		sum.Others = max(0, now.Jobs.Submitted-ended(before)-sum.TotMsgs)
		alone := sum.Others == 0
		// A job may be seen to have ended a moment before the stats count it.
		counted := succeeded >= good && failed >= sum.BadMsgs ||
			ended(now)-ended(before) >= sum.TotMsgs && (alone || len(sum.Differences) > 0)
		if !counted && time.Now().Before(until) {
			if err := rest(ctx); err != nil {
				return err
			}
			continue
		}
		if succeeded < good || succeeded > good && alone {
			sum.differ("the stats count %d more successes, %d were posted", succeeded, good)
		}
		if failed < sum.BadMsgs || failed > sum.BadMsgs && alone {
			sum.differ("the stats count %d more failed jobs, %d bad events were posted", failed, sum.BadMsgs)
		}
		sum.Status = len(sum.Differences) == 0
		return nil
	}
}
