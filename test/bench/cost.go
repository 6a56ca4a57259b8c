package main

import (
	"context"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

// cost adds what jobs have left in each store of NATS once they have ended: bytes that are held, beside those that each
// was posted with, and messages that were written, beside those that are still held.
func cost(ctx context.Context, t *figures.Table, nats string, jobs, posted float64) error {
	s, err := stream.Connect(ctx, stream.Options{URL: nats, Name: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, e := range s.Examine(ctx, stream.DefaultSettings()) {
		what := stores[e.Name]
		if what == "" {
			continue
		}
		if e.Fault != nil {
			return e.Fault
		}
		if e.Written == 0 {
			continue // an empty job prints nothing
		}
		t.Add("cost of a job: "+what+", held", float64(e.Bytes)/jobs, "B", posted, figures.None())
		t.Add("cost of a job: "+what+", written", float64(e.Written)/jobs, "messages", float64(e.Messages)/jobs, figures.None())
	}
	return nil
}

// stores of NATS in which jobs leave something.
var stores = map[string]string{
	contract.StreamEvents:                        "events",
	contract.BucketStream(contract.BucketJobs):   "documents",
	contract.BucketStream(contract.BucketClaims): "claims",
	contract.BucketStream(contract.BucketOutput): "output",
}
