package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"tallyman/internal/sqslocal"
	"tallyman/test/cluster/enclosure"
)

// outsideSQS is an SQS that is not the chart's own: it runs beside the cluster, and can be made to go wrong.
type outsideSQS struct {
	endpoint string
	faults   *sqslocal.Faults
}

const keysSecret = "keys" // of the outside SQS, which looks at no signature

// serveSQS begins one with these queues; each has a dead-letter queue.
func serveSQS(t *testing.T, queues ...string) *outsideSQS {
	t.Helper()
	faults := sqslocal.NewFaults(1)
	server, err := sqslocal.New(sqslocal.Options{
		Addr: enclosure.NodeIP + ":0", Path: filepath.Join(t.TempDir(), "sqs.db"), Faults: faults,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range queues {
		for _, q := range []string{name, name + "-dead"} {
			if _, err := server.EnsureQueue(t.Context(), q, map[string]string{"VisibilityTimeout": "60"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the SQS beside the cluster: %v", err)
		}
	})
	return &outsideSQS{endpoint: server.URL(), faults: faults}
}

// url is a queue's.
func (o *outsideSQS) url(queue string) string { return o.endpoint + "/000000000000/" + queue }

// sets are the chart's values for it, beside the queues' own url and deadLetter.
func (o *outsideSQS) sets() []string {
	return []string{
		`sqs.bundled=false`,
		fmt.Sprintf(`aws={"endpoint":%q,"region":"us-east-1","keysSecret":%q}`, o.endpoint, keysSecret),
	}
}

// answers503 makes every request fail for a while, from now on.
func (o *outsideSQS) answers503(during time.Duration) {
	o.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1, Until: time.Now().Add(during)})
}

// refused is how often it has answered 503.
func (o *outsideSQS) refused() int { return o.faults.Count(sqslocal.Unavailable) }

// counts asks SQS how many messages it has, of whatever kind.
func counts(ctx context.Context, endpoint, queue string) (map[string]string, error) {
	var answer struct{ Attributes map[string]string }
	err := askSQS(ctx, endpoint, "GetQueueAttributes", map[string]any{
		"QueueUrl": endpoint + "/000000000000/" + queue,
		"AttributeNames": []string{
			"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
		},
	}, &answer)
	if err == nil && len(answer.Attributes) != 3 {
		err = fmt.Errorf("%s answered %v of queue %s", endpoint, answer.Attributes, queue)
	}
	return answer.Attributes, err
}

// holdsNothing is nil where a queue and its dead-letter queue have no message at all.
func holdsNothing(ctx context.Context, endpoint, queue string) error {
	for _, name := range []string{queue, queue + "-dead"} {
		have, err := counts(ctx, endpoint, name)
		if err != nil {
			return err
		}
		for counter, n := range have {
			if n != "0" {
				return fmt.Errorf("queue %s: %s is %s", name, counter, n)
			}
		}
	}
	return nil
}

// askSQS sends one request as an SDK does, without a signature.
func askSQS(ctx context.Context, endpoint, operation string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("SQS at %s: %s: %s", endpoint, operation, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(out)
}
