package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"tallyman/contract"
)

// BenchmarkStats compares GET /jobs/stats with the least that Fiber can do, in turns within one run, so
// that what else the machine does weighs on both. The bar is a ratio of 0.8.
func BenchmarkStats(b *testing.B) {
	empty := fiber.New(fiber.Config{DisableStartupMessage: true})
	empty.Get("/", func(*fiber.Ctx) error { return nil })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- empty.Listener(ln) }()
	b.Cleanup(func() {
		if err := empty.Shutdown(); err != nil {
			b.Error(err)
		}
		<-done
	})
	s, err := New(blankOptions())
	if err != nil {
		b.Fatal(err)
	}
	serve(b, s)
	<-s.ledger.loaded
	urls := [2]string{"http://" + ln.Addr().String() + "/", "http://" + s.Addr() + "/jobs/stats"}
	const turn = 800
	var took [2]time.Duration
	var ratios []float64
	for _, url := range urls { // connections are made before anything is measured
		hammer(b, url, turn)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += turn {
		var now [2]time.Duration
		for i, url := range urls {
			now[i] = hammer(b, url, turn)
			took[i] += now[i]
		}
		ratios = append(ratios, now[0].Seconds()/now[1].Seconds())
	}
	b.StopTimer()
	turns := float64((b.N + turn - 1) / turn * turn)
	b.ReportMetric(turns/took[0].Seconds(), "empty/s")
	b.ReportMetric(turns/took[1].Seconds(), "stats/s")
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio") // the median turn: a neighbour on the machine spoils a few
}

// hammer sends n requests over a few connections that stay open.
func hammer(b *testing.B, url string, n int) time.Duration {
	const connections = 8
	start := time.Now()
	done := make(chan error, connections)
	for range connections {
		go func() {
			req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(res)
			req.SetRequestURI(url)
			for range n / connections {
				if err := fasthttp.Do(req, res); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range connections {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// BenchmarkBatch posts full batches to a server over a real NATS and a real SQS, which share the machine.
func BenchmarkBatch(b *testing.B) {
	w := newServer(b)
	w.run(func(ctx context.Context) error { <-ctx.Done(); return nil })
	body := "[" + strings.Repeat(`{"type":"probe","payload":{"target":"127.0.0.1"}},`, maxBatch-1) + "{}]"
	b.ResetTimer()
	for range b.N {
		res, err := http.Post(w.url+"/jobs/batch", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if n := strings.Count(string(got), `"state":"queued"`); err != nil || res.Body.Close() != nil || n != maxBatch {
			b.Fatalf("%d queued, %v", n, err)
		}
	}
	b.ReportMetric(float64(b.N*maxBatch)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkIndexFill puts many documents into an index as at a start, in no order.
func BenchmarkIndexFill(b *testing.B) {
	const jobs = 200_000
	padding := strings.Repeat("x", 600)
	for b.Loop() {
		x, err := openIndex(filepath.Join(b.TempDir(), "index.db"))
		if err != nil {
			b.Fatal(err)
		}
		batch := make([]change, 0, maxApply)
		for n := range jobs {
			job := contract.Job{
				JobID: contract.KeyID("bench", strconv.Itoa(n)), State: contract.StateSucceeded, Queue: "default", Type: "probe",
				SubmittedAt: contract.AtMilli(int64(1 + n)), UpdatedAt: contract.AtMilli(int64(1 + n)),
			}
			doc := []byte(`{"jobId":"` + job.JobID + `","padding":"` + padding + `"}`)
			batch = append(batch, change{id: job.JobID, doc: doc, row: row{job.State, job.Queue, job.Type, job.SubmittedAt, job.UpdatedAt}})
			if len(batch) == maxApply {
				if err := x.apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				batch = batch[:0]
			}
		}
		if err := x.order(b.Context()); err != nil {
			b.Fatal(err)
		}
		x.close()
	}
	b.ReportMetric(jobs*float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}
