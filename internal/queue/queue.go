package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var (
	// ErrUnavailable: SQS is away, slow or throttles; whether it took the message is unknown. Try again.
	ErrUnavailable = errors.New("SQS is unavailable")
	// ErrNoQueue: there is no queue at this URL; somebody has to make it or mend the configuration.
	ErrNoQueue = errors.New("no such queue")
	// ErrRefused: SQS does not take this message, whoever sends it and however often. What a right, a key of KMS, a
	// missing queue or a busy SQS keeps from being sent is not refused: somebody can mend that.
	ErrRefused = errors.New("SQS does not take the message")
)

// Refusal is an ErrRefused in SQS's words.
type Refusal struct{ Code, Message string }

func (r *Refusal) Error() string { return fmt.Sprintf("%v: %s: %s", ErrRefused, r.Code, r.Message) }

func (r *Refusal) Unwrap() error { return ErrRefused }

// Options say which SQS to speak to. All of them may be empty: the SDK's own chain then decides, which
// on AWS is the pod's identity.
type Options struct {
	Endpoint  string // http://127.0.0.1:9324 for a local SQS
	Region    string
	AccessKey string // for a local SQS, which asks for none but gets one
	SecretKey string
	// CallTimeout bounds one request to SQS, retries included, long polls not; 5 s by default.
	CallTimeout time.Duration
}

const defaultCallTimeout = 5 * time.Second

// Client speaks to SQS. Its methods may be called from many goroutines.
type Client struct {
	sqs     *sqs.Client
	timeout time.Duration

	mu      sync.Mutex
	batches map[string]*batcher // by queue URL; as many as the configuration has queues
}

// Open makes a client; it does not speak to SQS yet.
func Open(ctx context.Context, o Options) (*Client, error) {
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("SQS client: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("SQS client: no region; set AWS_REGION")
	}
	cfg.HTTPClient = plainBodies{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = maxInFlight
	})}
	if o.CallTimeout == 0 {
		o.CallTimeout = defaultCallTimeout
	}
	client := sqs.NewFromConfig(cfg, func(s *sqs.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return &Client{sqs: client, timeout: o.CallTimeout, batches: make(map[string]*batcher)}, nil
}

// plainBodies hides from net/http that the SDK's request bodies can write themselves. The SDK (smithy-go
// 1.28.8) closes a body as soon as there is an answer, and one that is closed then reports io.EOF from
// WriteTo, which net/http takes for a failed request: it closes the connection while the answer is being
// read. The SDK would ask again, and a message would be sent twice. A near and fast SQS shows it.
type plainBodies struct{ next sqs.HTTPClient }

func (p plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.next.Do(r)
}

// wrap translates an error of the SDK once, at this door.
func wrap(err error, op, url string) error {
	if err == nil {
		return nil
	}
	kind := ErrUnavailable
	var gone *types.QueueDoesNotExist
	switch {
	case errors.As(err, &gone):
		kind = ErrNoQueue
	case errors.Is(err, context.Canceled):
		kind = context.Canceled
	}
	return fmt.Errorf("%s %s: %w: %w", op, url, kind, err)
}
