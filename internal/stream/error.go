package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrNotFound: the key or the sequence is not there, or no more.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the compare-and-set lost; somebody wrote first. Also seen by one who won, whose ack
	// was lost, and who tried again: read before concluding anything.
	ErrConflict = errors.New("lost the race")
	// ErrUnavailable: NATS is away, slow or full; whether the write happened is unknown. Try again.
	ErrUnavailable = errors.New("NATS is unavailable")
	// ErrBehind: the server that was asked, one of those that keep the stream, has not stored the sequence yet. It is
	// an ErrUnavailable that soon mends itself.
	ErrBehind = fmt.Errorf("%w: the server that was asked is behind", ErrUnavailable)
	// ErrTooLarge: the server does not take that many messages in one batch.
	ErrTooLarge = errors.New("the batch is larger than the server takes")
	// ErrAnew: the stream or bucket was deleted and made again, or set back, while it was read. What was read of it
	// means nothing any more; whoever still wants it reads from the beginning.
	ErrAnew = errors.New("it was made anew, or set back")
)

// Codes by which a server refuses a compare-and-set; replicated streams answer the second.
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164
	codeBatchTooLarge             jetstream.ErrorCode = 10199
)

// wrap translates an error of the client once, at this door.
func wrap(err error, op, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, what, classify(err))
}

func classify(err error) error {
	var api *jetstream.APIError
	isAPI := errors.As(err, &api)
	switch {
	case isAPI && (api.ErrorCode == codeWrongLastSequence || api.ErrorCode == codeWrongLastSequenceConstant),
		errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case isAPI && api.ErrorCode == codeBatchTooLarge:
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted),
		errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, context.Canceled), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrInvalidKey):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
