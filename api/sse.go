package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

const eventStream = "text/event-stream"

// A client may leave its window full for writeTimeout, then it is dropped; flushAt bytes are written within it,
// so that one who reads slowly is not taken for one who does not. A line is written in pieces: between us and the
// connection are copies of what is written at once, several for each client. The kernel would take megabytes for
// a connection, charge them to our container, and tell of what a slow client reads only after a third of them.
const (
	writeTimeout = 10 * time.Second
	flushAt      = 64 << 10
	pieceBytes   = 4 << 10
	kernelBytes  = 64 << 10
)

// eventWriter writes Server-Sent Events to one client. A write that fails says that the client is gone:
// nothing else does.
type eventWriter struct {
	w       *bufio.Writer
	conn    net.Conn
	tick    *time.Ticker    // when it ticks, a comment is due
	leaving <-chan struct{} // closed when the server ends
	passed  uint64          // the id that heartbeats tell; 0: none
	unsent  int             // bytes
	timeout time.Duration   // of a write
}

// wantsStream tells whether the client asks for a stream where it could have one answer too.
func wantsStream(c *fiber.Ctx) bool { return strings.Contains(c.Get(fiber.HeaderAccept), eventStream) }

// stream answers with events for as long as write goes on, which must not touch the request: it is gone by
// then. All streams share one limit.
func (s *Server) stream(c *fiber.Ctx, write func(*eventWriter) error) error {
	select {
	case s.streams <- struct{}{}:
	default:
		return contract.Errorf(contract.CodeTooMany, "", "%d clients follow already; try again later", cap(s.streams))
	}
	c.Set(fiber.HeaderContentType, eventStream)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set("X-Accel-Buffering", "no")
	c.Response().SetConnectionClose() // its write deadline is of no use to a next request
	if c.Method() == fiber.MethodHead {
		<-s.streams
		return nil
	}
	id, conn := s.requestID(c), c.Context().Conn()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(kernelBytes) // fails only where the client is gone
	}
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer func() { <-s.streams }()
		defer func() { // no middleware stands around this: a panic would end the process
			if v := recover(); v != nil {
				s.log.Error("stream went wrong", "requestId", id, "error", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		e := &eventWriter{w: w, conn: conn, tick: time.NewTicker(s.heartbeat), leaving: s.leaving.Done(), timeout: s.writing}
		defer e.tick.Stop()
		_, _ = w.WriteString("retry: 2000\n\n")
		if err := e.flush(); err != nil { // what was not flushed, headers too, would be held back
			return
		}
		if err := write(e); err != nil {
			s.log.Debug("stream ended", "requestId", id, "error", err)
		}
	})
	return nil
}

// event writes one event; flush sends it. An id is what the client may come back with; 0: it is none.
func (e *eventWriter) event(id uint64, name string, data []byte) {
	if id > 0 {
		e.id(id)
	}
	_, _ = e.w.WriteString("event: " + name + "\n") // bufio keeps the first error for flush
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r"), nil)
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		_, _ = e.w.WriteString("data: ")
		for piece := range slices.Chunk(line, pieceBytes) {
			_, _ = e.w.Write(piece)
			if e.unsent += len(piece); e.unsent > flushAt {
				_ = e.flush() // the next one fails, too
			}
		}
		_ = e.w.WriteByte('\n')
	}
	_ = e.w.WriteByte('\n')
}

func (e *eventWriter) id(id uint64) {
	_, _ = e.w.WriteString("id: ")
	_, _ = e.w.Write(strconv.AppendUint(e.w.AvailableBuffer(), id, 10))
	_ = e.w.WriteByte('\n')
	e.passed = 0
}

// pass notes that the client has nothing to see up to id. The next heartbeat tells it, so that a client whose
// filter rarely matches need not read the whole past again when it comes back.
func (e *eventWriter) pass(id uint64) { e.passed = id }

func (e *eventWriter) flush() error {
	e.unsent = 0
	if err := e.conn.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	return e.w.Flush()
}

// wait waits for one of two signals, and keeps the line alive meanwhile; false when the server ends. A
// signal may be nil.
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
			if err := e.beat(); err != nil {
				return false, err
			}
		}
	}
}

// beat is a comment. An id beside it is no event, and clients keep it all the same.
func (e *eventWriter) beat() error {
	if e.passed > 0 {
		e.id(e.passed)
	}
	_, _ = e.w.WriteString(": still here\n\n")
	return e.flush()
}

// dropped is the last word to a client that is let go: why, and the id to come back with.
type dropped struct {
	Detail     string `json:"detail"`
	ResumeFrom uint64 `json:"resumeFrom"`
}

// drop tells a client why its stream ends before it wanted.
func (e *eventWriter) drop(id uint64, detail string) error {
	b, err := json.Marshal(dropped{Detail: detail, ResumeFrom: id})
	if err != nil {
		return err
	}
	e.event(id, "lagged", b)
	return e.flush()
}
