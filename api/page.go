package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// Sizes of a page.
const (
	defaultPage = 50
	maxPage     = 200
)

// cursor is where a page ended: pages do not shift when new jobs come in before the first.
type cursor struct {
	submitted int64 // milliseconds
	id        string
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.submitted, 10) + "." + c.id))
}

func parseCursor(s string) (cursor, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return cursor{}, false
	}
	ms, id, _ := strings.Cut(string(b), ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	return cursor{n, id}, err == nil && contract.ValidJobID(id)
}

// params reads the parameters of a URL, and collects every fault.
type params struct {
	values map[string]string
	faults faults
}

// readParams refuses a parameter that nobody knows: a misspelt filter would otherwise list everything.
func readParams(c *fiber.Ctx, known ...string) *params {
	p := &params{values: make(map[string]string)}
	for key, value := range c.Request().URI().QueryArgs().All() {
		name := string(key)
		switch _, twice := p.values[name]; {
		case !slices.Contains(known, name):
			p.fail(name, "is not a parameter here; there are "+or(strings.Join(known, ", "), "none"))
		case twice:
			p.fail(name, "stands twice")
		}
		p.values[name] = string(value)
	}
	return p
}

// bare is for operations without a parameter: what somebody asks for in the URL, like a delay that belongs into the
// body, would be ignored in silence.
func bare(next fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if len(c.Request().URI().QueryString()) > 0 {
			if err := readParams(c).done(); err != nil {
				return err
			}
		}
		return next(c)
	}
}

func (p *params) fail(name, detail string) {
	name = contract.CutText(name, contract.MaxToken)
	p.faults.add(fault{Code: contract.CodeInvalidValue, Field: name, Detail: name + " " + detail})
}

func (p *params) word(name, shape string, check func(string) bool) string {
	v, ok := p.values[name]
	if ok && !check(v) {
		p.fail(name, "must be "+shape)
	}
	return v
}

func (p *params) token(name string) string {
	return p.word(name, "1 to 64 of A-Z a-z 0-9 _ -", contract.ValidToken)
}

func (p *params) integer(name string, least, most, otherwise int) int {
	v, ok := p.values[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		p.fail(name, fmt.Sprintf("must be %d to %d", least, most))
	}
	return n
}

func (p *params) done() error {
	if len(p.faults) == 0 {
		return nil
	}
	return p.faults
}

// readQuery reads what a list is filtered by.
func readQuery(c *fiber.Ctx) (query, error) {
	p := readParams(c, "state", "queue", "type", "limit", "cursor")
	q := query{
		state: p.word("state", "one of accepted, queued, running, retrying, succeeded, failed, cancelled",
			func(s string) bool { return contract.State(s).Known() }),
		queue: p.token("queue"), jobType: p.token("type"),
		limit: p.integer("limit", 1, maxPage, defaultPage),
	}
	p.word("cursor", "the `next` of a page", func(s string) (ok bool) {
		q.after, ok = parseCursor(s)
		return ok
	})
	return q, p.done()
}

// jobPage is one page of GET /jobs.
type jobPage struct {
	Jobs []summary `json:"jobs"`
	Next string    `json:"next,omitempty"`
}

func (s *Server) listJobs(c *fiber.Ctx) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	if err := s.ledger.ready(ctx); err != nil {
		return err
	}
	size := q.limit
	q.limit++ // one more tells whether there is another page
	docs, err := s.ledger.index.page(ctx, q)
	if err != nil {
		return err
	}
	page := jobPage{Jobs: make([]summary, 0, len(docs))}
	jobs := make([]contract.Job, min(len(docs), size))
	var spoken []uint64
	for i := range jobs {
		if err := json.Unmarshal(docs[i], &jobs[i]); err != nil {
			return fmt.Errorf("document in the index: %w", err)
		}
		spoken = append(spoken, failureSeqs(&jobs[i])...)
	}
	said, _ := s.words.of(ctx, spoken) // a list without messages is still a list
	for i := range jobs {
		page.Jobs = append(page.Jobs, summarize(&jobs[i], said))
	}
	if len(docs) > size {
		last := &jobs[size-1]
		page.Next = cursor{last.SubmittedAt.UnixMilli(), last.JobID}.String()
	}
	return c.JSON(page)
}
