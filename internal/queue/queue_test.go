package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
	"tallyman/internal/testenv"
)

// counting stands before an SQS and counts what is asked of it.
func counting(t *testing.T, backend string) (endpoint string, calls func(op string) int) {
	t.Helper()
	target, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	proxy := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")]++
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func(op string) int {
		mu.Lock()
		defer mu.Unlock()
		return seen[op]
	}
}

func open(t *testing.T, endpoint string) *queue.Client {
	t.Helper()
	c, err := queue.Open(t.Context(), queue.Options{
		Endpoint: endpoint, Region: "us-east-1", AccessKey: "local", SecretKey: "local", CallTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drain receives and deletes everything.
func drain(t *testing.T, c *queue.Client, url string) (bodies []string) {
	t.Helper()
	for {
		all, err := c.Receive(t.Context(), url, 10, 0, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			sort.Strings(bodies)
			return bodies
		}
		for _, r := range all {
			if !r.Envelope || r.Receives != 1 || r.Sent.IsZero() {
				t.Errorf("%+v", r)
			}
			bodies = append(bodies, string(r.Body))
			if err := c.Delete(t.Context(), url, r.Receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestConcurrentSendersShareBatchesAndNothingIsLost(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	endpoint, calls := counting(t, srv.URL())
	c := open(t, endpoint)
	q := testenv.Queue(t, srv, "q", nil)
	const n = 500
	var want []string
	var wg sync.WaitGroup
	for i := range n {
		want = append(want, fmt.Sprintf("m%03d", i))
		wg.Go(func() {
			if err := c.Send(t.Context(), q, queue.Message{Body: []byte(fmt.Sprintf("m%03d", i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := calls("SendMessageBatch"); got > n/5 {
		t.Errorf("%d calls for %d messages, at most a fifth are wanted", got, n)
	}
	if diff := cmp.Diff(want, drain(t, open(t, srv.URL()), q)); diff != "" {
		t.Error(diff)
	}
}

func TestLargeMessagesAreNotPutTogetherBeyondTheLimit(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	q := testenv.Queue(t, srv, "q", nil)
	big := make([]queue.Message, 12)
	for i := range big {
		big[i].Body = []byte(strings.Repeat("x", 250<<10))
	}
	for i, err := range c.SendAll(t.Context(), q, big) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if got := len(drain(t, c, q)); got != len(big) {
		t.Errorf("%d messages arrived", got)
	}
}

func TestEachMessageOfABatchHasItsOwnAnswer(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	q := testenv.Queue(t, srv, "q", nil)
	errs := c.SendAll(t.Context(), q, []queue.Message{
		{Body: []byte("good")}, {Body: []byte("late"), Delay: time.Hour}, {Body: []byte("fine")},
	})
	if errs[0] != nil && errs[1] == nil {
		t.Errorf("%v", errs)
	}
	if errs[1] == nil || errors.Is(errs[1], queue.ErrUnavailable) {
		t.Errorf("a delay that SQS refuses: %v", errs[1])
	}
}

func TestWhatSQSDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	q := testenv.Queue(t, srv, "q", map[string]string{"MaximumMessageSize": "1024"})
	errs := c.SendAll(t.Context(), q, []queue.Message{
		{Body: []byte("\uffff")}, {Body: []byte(strings.Repeat("x", 1025))}, {Body: []byte("fine")}, {Body: []byte("late"), Delay: time.Hour},
	})
	for i, code := range []string{"InvalidMessageContents", "InvalidParameterValue"} {
		refusal, is := errors.AsType[*queue.Refusal](errs[i])
		if !is || !errors.Is(errs[i], queue.ErrRefused) || refusal.Code != code || refusal.Message == "" {
			t.Errorf("%s: %v", code, errs[i])
		}
	}
	if errs[2] != nil {
		t.Error(errs[2])
	}
	if errs[3] == nil || errors.Is(errs[3], queue.ErrRefused) {
		t.Errorf("a delay is no fault of the message: %v", errs[3])
	}
}

// What somebody can mend is tried again: it must not end a job.
func TestWhatCanBeMendedIsNotRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"no right, the call":  {403, `{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no identity-based policy allows it"}`},
		"no key, the call":    {400, `{"__type":"com.amazonaws.sqs#KmsDisabled","message":"the key is disabled"}`},
		"too busy, the call":  {403, `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}`},
		"too long, the call":  {400, `{"__type":"com.amazonaws.sqs#BatchRequestTooLong","message":"Batch requests cannot be longer"}`},
		"no queue, the call":  {400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`},
		"no right, the entry": {200, `{"Failed":[{"Id":"0","Code":"AccessDenied","Message":"Access is denied","SenderFault":true}]}`},
		"no key, the entry":   {200, `{"Failed":[{"Id":"0","Code":"KMS.AccessDeniedException","Message":"denied","SenderFault":true}]}`},
		"too busy, the entry": {200, `{"Failed":[{"Id":"0","Code":"RequestThrottled","Message":"slow down","SenderFault":true}]}`},
		"its own fault":       {200, `{"Failed":[{"Id":"0","Code":"InvalidMessageContents","Message":"?","SenderFault":false}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				w.WriteHeader(answer.status)
				io.WriteString(w, answer.body)
			}))
			t.Cleanup(srv.Close)
			err := open(t, srv.URL).Send(t.Context(), srv.URL+"/000000000000/q", queue.Message{Body: []byte("x")})
			if err == nil || errors.Is(err, queue.ErrRefused) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "{}")
	}))
	t.Cleanup(srv.Close)
	c := open(t, srv.URL)
	q := srv.URL + "/000000000000/q"
	if err := c.Send(t.Context(), q, queue.Message{Body: []byte("x")}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("send: %v", err)
	}
	if _, err := c.Counts(t.Context(), q); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("counts: %v", err)
	}
	if n := calls.Load(); n > 8 {
		t.Errorf("%d requests: retries must be few", n)
	}
}

// A retry of a call that all of its senders gave up would send what somebody else sends again by then.
func TestWhatNobodyWaitsForIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(srv.Close)
	c := open(t, srv.URL)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Send(ctx, srv.URL+"/000000000000/q", queue.Message{Body: []byte("x")}) }()
	<-asked
	cancel()
	if err := <-done; err == nil {
		t.Fatal("sent")
	}
	for wait := time.After(1500 * time.Millisecond); ; { // longer than the SDK waits before its next tries
		select {
		case <-asked:
			t.Error("tried again for nobody")
		case <-wait:
			return
		}
	}
}

func TestNoQueueIsSaid(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	err := c.Send(t.Context(), srv.QueueURL("nowhere"), queue.Message{Body: []byte("x")})
	if !errors.Is(err, queue.ErrNoQueue) {
		t.Error(err)
	}
}

func TestWhoGaveUpWaitingIsNotSent(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	q := testenv.Queue(t, srv, "q", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Send(ctx, q, queue.Message{Body: []byte("x")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	counts, err := c.Counts(t.Context(), q)
	if err != nil || !counts.Empty() {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestCountsAndSettings(t *testing.T) {
	t.Parallel()
	srv := testenv.SQS(t, sqslocal.Options{})
	c := open(t, srv.URL())
	q := testenv.Queue(t, srv, "q", map[string]string{"VisibilityTimeout": "7", "MessageRetentionPeriod": "3600"})
	c.SendAll(t.Context(), q, []queue.Message{{Body: []byte("a")}, {Body: []byte("b")}, {Body: []byte("c"), Delay: time.Minute}})
	if _, err := c.Receive(t.Context(), q, 1, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	counts, err := c.Counts(t.Context(), q)
	if diff := cmp.Diff(queue.Counts{Visible: 1, InFlight: 1, Delayed: 1}, counts); diff != "" || err != nil {
		t.Error(diff, err)
	}
	s, err := c.Settings(t.Context(), q)
	if diff := cmp.Diff(queue.Settings{Visibility: 7 * time.Second, Retention: time.Hour}, s); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
