package scheduler

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// bounds is what a field of a cron text may hold.
type bounds struct {
	field     string
	low, high int      // of a bare *, and of an open range such as 5/15
	most      int      // the greatest number that may be written: 7 is Sunday too
	names     []string // of the numbers from low on
}

// set holds the numbers that a field matches, one bit for each.
type set uint64

func (s set) has(n int) bool { return s&(1<<n) != 0 }

// full tells whether the set holds every number of the field.
func (s set) full(b bounds) bool { return bits.OnesCount64(uint64(s)) == b.high-b.low+1 }

// star tells whether a field leaves everything open: a star, with no step but 1. The rule of the two day
// fields asks it.
func star(text string) bool {
	for item := range strings.SplitSeq(text, ",") {
		if item == "*" || item == "*/1" {
			return true
		}
	}
	return false
}

// parse reads a list of ranges with steps: *, 5, MON, 1-5, */10, 10/10, 8-18/2.
func (b bounds) parse(text string) (set, error) {
	var all set
	for item := range strings.SplitSeq(text, ",") {
		s, err := b.parseItem(item)
		if err != nil {
			return 0, err
		}
		all |= s
	}
	return all, nil
}

func (b bounds) parseItem(item string) (set, error) {
	span, every, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		n, err := number(every)
		if err != nil || n < 1 || n > b.high-b.low+1 {
			return 0, fmt.Errorf("%s: a step of %q does not fit; it must be 1 to %d", b.field, every, b.high-b.low+1)
		}
		step = n
	}
	from, to, err := b.span(span, stepped)
	if err != nil {
		return 0, err
	}
	var s set
	for n := from; n <= to; n += step {
		s |= 1 << b.fold(n)
	}
	return s, nil
}

// span reads what stands before the step.
func (b bounds) span(text string, stepped bool) (from, to int, err error) {
	if text == "*" {
		return b.low, b.high, nil
	}
	first, last, ranged := strings.Cut(text, "-")
	if from, err = b.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		if to, err = b.value(last); err != nil {
			return 0, 0, err
		}
	case stepped:
		to = max(from, b.high)
	default:
		to = from
	}
	if from > to {
		return 0, 0, fmt.Errorf("%s: %q runs backwards; write it as two, with a comma between", b.field, text)
	}
	return from, to, nil
}

func (b bounds) value(text string) (int, error) {
	for i, name := range b.names {
		if strings.EqualFold(text, name) {
			return b.low + i, nil
		}
	}
	n, err := number(text)
	if err != nil || n < b.low || n > b.most {
		return 0, fmt.Errorf("%s: %q must be %d to %d%s, or *", b.field, text, b.low, b.most, b.orName())
	}
	return n, nil
}

func (b bounds) orName() string {
	if len(b.names) == 0 {
		return ""
	}
	return " or " + b.names[0] + " to " + b.names[len(b.names)-1]
}

// fold makes Sunday's second number its first.
func (b bounds) fold(n int) int {
	if n > b.high {
		return b.low
	}
	return n
}

// number reads digits and nothing else: Atoi would take a sign.
func number(text string) (int, error) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}
