package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// PublishScaling mirrors a Kubernetes Event and waits until the stream has it. A repeat within the window of
// duplicates is dropped. ErrUnavailable: it may or may not be stored; say it again.
func (s *Stream) PublishScaling(ctx context.Context, e contract.Scaling) error {
	b, err := e.Encode()
	if err != nil {
		return fmt.Errorf("Kubernetes Event %s: %w", e.ID(), err)
	}
	ctx, cancel := bound(ctx)
	defer cancel()
	_, err = s.js.PublishMsg(ctx, &nats.Msg{
		Subject: e.Subject(), Data: b,
		Header: nats.Header{
			contract.HeaderMsgID:       {e.MsgID()},
			contract.HeaderContentType: {contract.ContentTypeEvent},
		},
	})
	return wrap(err, "publish Kubernetes Event", e.ID())
}

// Scaling hands to fn what was mirrored for a queue since a moment ("*": for every queue), in the order in
// which it was said. What nobody can read is left out: it only tells why.
func (s *Stream) Scaling(ctx context.Context, queue string, since time.Time, fn func(contract.Scaling) error) error {
	cfg := jetstream.ConsumerConfig{
		FilterSubject: contract.ScalingOfQueue(queue),
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	}
	ended := func(pending uint64) error {
		if pending == 0 {
			return errLoaded
		}
		return nil
	}
	err := s.consume(ctx, contract.StreamScaling, cfg, 0, func(m message) error {
		if e, err := contract.DecodeScaling(m.Data); err == nil {
			if err := fn(e); err != nil {
				return err
			}
		}
		return ended(m.pending)
	}, ended)
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}

// maxReasons bounds how many kinds of Kubernetes Events of a queue LastScaling gives.
const maxReasons = 256

// LastScaling gives the newest of each kind of Kubernetes Event of a queue, by its reason. However much was
// said, that is few.
func (s *Stream) LastScaling(ctx context.Context, queue string) (all []contract.Scaling, err error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	cfg := jetstream.ConsumerConfig{
		FilterSubject: contract.ScalingOfQueue(queue), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	}
	ended := func(pending uint64) error {
		if pending == 0 || len(all) == maxReasons {
			return errLoaded
		}
		return nil
	}
	err = s.consume(ctx, contract.StreamScaling, cfg, 0, func(m message) error {
		if e, err := contract.DecodeScaling(m.Data); err == nil {
			all = append(all, e)
		}
		return ended(m.pending)
	}, ended)
	if err != nil && !errors.Is(err, errLoaded) {
		return nil, wrap(err, "read what Kubernetes said of queue", queue)
	}
	return all, nil
}
