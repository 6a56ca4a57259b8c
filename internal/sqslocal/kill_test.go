package sqslocal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jonboulle/clockwork"

	"tallyman/internal/sqslocal"
	"tallyman/internal/sqslocal/sqstest"
)

// TestKillLosesNothing kills the server under load, again and again on one
// file, and then counts: what was acknowledged as sent is there, unless it was
// deleted; what was acknowledged as deleted is not.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sqs.db")
	books := &killBooks{sent: map[string]bool{}, deleting: map[string]bool{}, deleted: map[string]bool{}}
	for round := range 5 {
		underLoad(t, path, books, round)
	}
	// An hour on, whatever was in flight is visible again.
	s := serve(t, sqslocal.Options{Path: path, Clock: clockwork.NewFakeClockAt(time.Now().Add(time.Hour))})
	url := s.QueueURL("desk")
	left := map[string]bool{}
	for d := (desk{t, sqstest.NewClient(s.URL(), "us-east-1"), &url}); ; {
		bodies, _ := d.receive(0)
		if len(bodies) == 0 {
			break
		}
		for _, body := range bodies {
			if left[body] {
				t.Errorf("%s is there twice", body)
			}
			left[body] = true
		}
	}
	t.Logf("%d sent, %d deleted, %d left", len(books.sent), len(books.deleted), len(left))
	for body := range books.sent {
		if !left[body] && !books.deleting[body] {
			t.Errorf("%s was acknowledged and is lost", body)
		}
	}
	for body := range books.deleted {
		if left[body] {
			t.Errorf("%s was deleted and is back", body)
		}
	}
}

// killBooks is what clients know: what the server acknowledged.
type killBooks struct {
	mu       sync.Mutex
	sent     map[string]bool
	deleting map[string]bool // a delete was asked for, with or without an answer
	deleted  map[string]bool
}

func (b *killBooks) note(book map[string]bool, bodies ...string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, body := range bodies {
		book[body] = true
	}
	return len(book)
}

// underLoad starts a server, lets clients send and delete, and kills it when
// another thousand messages have been acknowledged.
func underLoad(t *testing.T, path string, books *killBooks, round int) {
	t.Helper()
	url, kill := startChild(t, path)
	client := sqstest.NewClient(url, "us-east-1")
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("desk")})
	if err != nil {
		t.Fatal(err)
	}
	enough := make(chan struct{})
	var once sync.Once
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := 0; sendTen(t.Context(), client, out.QueueUrl, books, fmt.Sprintf("%d-%d-%d", round, worker, n), func(acknowledged int) {
				if acknowledged >= (round+1)*1000 {
					once.Do(func() { close(enough) })
				}
			}); n++ {
			}
		})
		group.Go(func() {
			for takeSome(t.Context(), client, out.QueueUrl, books) {
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(time.Minute):
		t.Error("a thousand messages were not acknowledged in a minute")
	}
	kill()
	group.Wait()
}

// sendTen sends a batch and notes what was acknowledged; false ends the worker.
func sendTen(ctx context.Context, client *sqs.Client, queue *string, books *killBooks, name string, progress func(int)) bool {
	in := &sqs.SendMessageBatchInput{QueueUrl: queue}
	var bodies []string
	for i := range 10 {
		body := fmt.Sprintf("%s-%d", name, i)
		bodies = append(bodies, body)
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body})
	}
	out, err := client.SendMessageBatch(ctx, in)
	if err != nil || len(out.Successful) != 10 {
		return false
	}
	progress(books.note(books.sent, bodies...))
	return true
}

func takeSome(ctx context.Context, client *sqs.Client, queue *string, books *killBooks) bool {
	out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 3, WaitTimeSeconds: 1})
	if err != nil {
		return false
	}
	for _, m := range out.Messages {
		books.note(books.deleting, *m.Body)
		if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return false
		}
		books.note(books.deleted, *m.Body)
	}
	return true
}

// startChild runs this test binary as a server and returns its endpoint and
// what kills it with no warning.
func startChild(t *testing.T, path string) (endpoint string, kill func()) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childFile+"="+path)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	kill = func() {
		if err := command.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = command.Wait() // it was killed, and says so
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "serving")), kill
}
