package api

import (
	"context"
	"encoding/json"
	"fmt"
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
	"tallyman/internal/stream"
)

// BenchmarkStats compares GET /jobs/stats with the least that Fiber can do, in turns within one run, so
// that what else the machine does weighs on both. The books are those of an install that has been at work. The bar is a
// ratio of 0.8.
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
	o := blankOptions()
	o.Jobs = fullBooks(b)
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	serve(b, s)
	<-s.ledger.loaded()
	urls := [2]string{"http://" + ln.Addr().String() + "/", "http://" + s.Addr() + "/jobs/stats"}
	client := &fasthttp.Client{ReadBufferSize: 32 << 10} // an answer is read at once, as it was written
	const turn = 800
	var took [2]time.Duration
	var ratios []float64
	for _, url := range urls { // connections are made before anything is measured
		hammer(b, client, url, turn)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += turn {
		var now [2]time.Duration
		for i, url := range urls {
			now[i] = hammer(b, client, url, turn)
			took[i] += now[i]
		}
		ratios = append(ratios, now[0].Seconds()/now[1].Seconds())
	}
	b.StopTimer()
	b.ReportMetric(float64(len(s.ledger.answer.Load().body)), "B/answer")
	turns := float64((b.N + turn - 1) / turn * turn)
	b.ReportMetric(turns/took[0].Seconds(), "empty/s")
	b.ReportMetric(turns/took[1].Seconds(), "stats/s")
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio") // the median turn: a neighbour on the machine spoils a few
}

// fullBooks are a bucket with what an aggregator keeps of three queues of three types each: the books of all time, the
// windows of three hours, a week and a month, and the stats that they add up to.
func fullBooks(b *testing.B) replay {
	var all replay
	put := func(key string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, stream.Entry{Key: key, Value: raw})
	}
	var total contract.Totals
	var named []*contract.Book
	for n := range 9 {
		whole := &contract.Book{V: contract.BookVersion, Queue: fmt.Sprintf("queue-%d", n/3), Type: fmt.Sprintf("type-%d", n)}
		var sum contract.Totals
		for span, windows := range map[contract.Span]int{contract.Minute: 180, contract.Hour: 168, contract.Day: 30} {
			for w := range windows {
				d := *whole
				d.Span, d.At = span, contract.AtMilli(span.Begin(noon.Add(-time.Duration(w)*span.Length()).UnixMilli()))
				d.Figures = someFigures(n + w)
				sum.Add(&d.Figures, 1)
				put(d.Key(), &d)
			}
		}
		whole.Figures = sum.Figures()
		total.Add(&whole.Figures, 1)
		named = append(named, whole)
		put(whole.Key(), whole)
	}
	by := func(name func(*contract.Book) string) map[string]contract.Sum {
		return contract.SumsBy(func(yield func(string, *contract.Sums) bool) {
			for _, d := range named {
				if !yield(name(d), &d.Sums) {
					return
				}
			}
		})
	}
	st := contract.Stats{
		Balanced: true, AsOf: contract.AsOf{Seq: 1_000_000, Time: contract.At(noon)}, Kept: contract.KeptAt(noon.UnixMilli()),
		ByQueue: by(func(d *contract.Book) string { return d.Queue }), ByType: by(func(d *contract.Book) string { return d.Type }),
	}
	total.Show(&st)
	put(contract.KeyStats, &st)
	return all
}

// someFigures are of a few hundred jobs that ended in every way.
func someFigures(seed int) (f contract.Figures) {
	for c := range f.Sums {
		f.Sums[c] = int64(100 + (seed+c)%200)
	}
	for stage := range f.Latency {
		var h contract.Histogram
		for i := range 20 {
			h.Add(int64((1+stage)*(7+seed%50+i*i)), int64(1+i%3))
		}
		f.Latency[stage] = h.Sketch()
	}
	return f
}

// hammer sends n requests over a few connections that stay open.
func hammer(b *testing.B, client *fasthttp.Client, url string, n int) time.Duration {
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
				if err := client.Do(req, res); err != nil {
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
