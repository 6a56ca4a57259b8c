package api

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// writeTimeout is how long a client may leave its window full before it is dropped.
const writeTimeout = 10 * time.Second

// eventWriter writes Server-Sent Events to one client. A write that fails says that the client is gone:
// nothing else does.
type eventWriter struct {
	w       *bufio.Writer
	conn    net.Conn
	tick    *time.Ticker    // when it ticks, a comment is due
	leaving <-chan struct{} // closed when the server ends
}

// stream answers with events for as long as write goes on, which must not touch the request: it is gone by
// then. done is called once, however it ends.
func (s *Server) stream(c *fiber.Ctx, done func(), write func(*eventWriter) error) error {
	select {
	case s.streams <- struct{}{}:
	default:
		done()
		return contract.Errorf(contract.CodeTooMany, "", "%d clients follow events already; try again later", cap(s.streams))
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set("X-Accel-Buffering", "no")
	c.Response().SetConnectionClose() // its write deadline is of no use to a next request
	if c.Method() == fiber.MethodHead {
		<-s.streams
		done()
		return nil
	}
	id, conn := s.requestID(c), c.Context().Conn()
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer func() { <-s.streams; done() }()
		defer func() { // no middleware stands around this: a panic would end the process
			if v := recover(); v != nil {
				s.log.Error("stream went wrong", "requestId", id, "error", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		e := &eventWriter{w: w, conn: conn, tick: time.NewTicker(s.heartbeat), leaving: s.leaving.Done()}
		defer e.tick.Stop()
		_, _ = w.WriteString("retry: 2000\n\n")
		if err := e.flush(); err != nil {
			return
		}
		if err := write(e); err != nil {
			s.log.Debug("stream ended", "requestId", id, "error", err)
		}
	})
	return nil
}

// event writes one event; flush sends it.
func (e *eventWriter) event(id uint64, name string, data []byte) {
	if id > 0 {
		_, _ = e.w.WriteString("id: " + strconv.FormatUint(id, 10) + "\n")
	}
	_, _ = e.w.WriteString("event: " + name + "\n")
	for line := range bytes.SplitSeq(bytes.ReplaceAll(data, []byte("\r"), nil), []byte("\n")) {
		_, _ = e.w.WriteString("data: ")
		_, _ = e.w.Write(line)
		_ = e.w.WriteByte('\n')
	}
	_ = e.w.WriteByte('\n') // bufio keeps the first error for flush
}

func (e *eventWriter) flush() error {
	if err := e.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return e.w.Flush()
}

// wait waits for one of two signals, and keeps the line alive meanwhile; false when the server ends.
func (e *eventWriter) wait(a, b <-chan struct{}) (goOn bool, err error) {
	for {
		select {
		case <-a:
			return true, nil
		case <-b:
			return true, nil
		case <-e.leaving:
			return false, nil
		case <-e.tick.C:
			_, _ = e.w.WriteString(": still here\n\n")
			if err := e.flush(); err != nil {
				return false, err
			}
		}
	}
}
