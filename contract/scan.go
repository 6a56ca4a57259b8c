package contract

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks over JSON (RFC 8259) once: it checks the syntax and the depth, and copies nothing. The
// first fault stands, and every step after it does nothing, so a step need not ask how the last one went.
type scanner struct {
	b     string
	i     int // the next byte
	level int // how many objects and lists are open
	plain bool
	err   *Error
}

func (s *scanner) fail() {
	if s.err == nil {
		s.err = Errorf(CodeMalformed, "", "not one JSON value, from byte %d on", s.i)
	}
}

// peek gives the next byte; 0, which nothing in JSON begins with, at the end and after a fault.
func (s *scanner) peek() byte {
	if s.i >= len(s.b) || s.err != nil {
		return 0
	}
	return s.b[s.i]
}

// take steps over c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) must(c byte) {
	if !s.take(c) {
		s.fail()
	}
}

func (s *scanner) space() {
	for c := s.peek(); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = s.peek() {
		s.i++
	}
}

// value walks over any value; where it is an object, its fields go to into, if there is one.
func (s *scanner) value(into, inner *object) {
	switch s.peek() {
	case '{':
		s.object(into, inner)
	case '[':
		s.list()
	case '"':
		s.text()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

func (s *scanner) open(c byte) {
	s.must(c)
	if s.level++; s.level > MaxDepth && s.err == nil {
		s.err = Errorf(CodeTooDeep, "", "nested deeper than %d", MaxDepth)
	}
	s.space()
}

// object walks over an object and gives its fields to into, if there is one, and those of one of its
// values to inner. A fault of the outermost ends the walk; one of an object inside of it waits there until
// the whole has proved to be JSON.
func (s *scanner) object(into, inner *object) {
	s.open('{')
	for more := s.peek() != '}'; more; more = s.take(',') {
		s.space()
		start := s.i
		s.text()
		key := s.b[start:s.i]
		s.space()
		s.must(':')
		s.space()
		start = s.i
		s.value(inner.of(key), nil)
		if into != nil && s.err == nil {
			into.add(key, s.b[start:s.i])
			if s.level == 1 {
				s.err = into.err
			}
		}
		s.space()
	}
	s.must('}')
	s.level--
}

// field steps over a key and its colon if they come next, with no space between them.
func (s *scanner) field(key string) bool {
	rest := s.b[s.i:]
	if n := len(key); s.err != nil || len(rest) < n+3 || rest[0] != '"' || rest[n+1] != '"' || rest[n+2] != ':' || rest[1:n+1] != key {
		return false
	}
	s.i += len(key) + 3
	return true
}

func (s *scanner) list() {
	s.open('[')
	for more := s.peek() != ']'; more; more = s.take(',') {
		s.space()
		s.value(nil, nil)
		s.space()
	}
	s.must(']')
	s.level--
}

func (s *scanner) text() {
	s.must('"')
	if s.plain {
		if n := strings.IndexByte(s.b[s.i:], '"'); n >= 0 {
			s.i += n + 1
			return
		}
	}
	for s.err == nil {
		rest := s.b[s.i:]
		n := 0
		for n < len(rest) && rest[n] >= ' ' && rest[n] != '"' && rest[n] != '\\' {
			n++
		}
		s.i += n
		if s.take('"') {
			return
		}
		s.must('\\') // a control character and the end are faults
		s.escape()
	}
}

func (s *scanner) escape() {
	c := s.peek()
	if c == 0 || strings.IndexByte(`"\/bfnrtu`, c) < 0 {
		s.fail()
		return
	}
	s.i++
	for n := 0; c == 'u' && n < 4; n++ {
		if !isHex(s.peek()) {
			s.fail()
			return
		}
		s.i++
	}
}

func (s *scanner) number() {
	s.take('-')
	if !s.take('0') {
		s.digits()
	}
	if s.take('.') {
		s.digits()
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		s.digits()
	}
}

// digits walks over at least one.
func (s *scanner) digits() {
	if !isDigit(s.peek()) {
		s.fail()
	}
	for isDigit(s.peek()) {
		s.i++
	}
}

func (s *scanner) literal(word string) {
	for i := range len(word) {
		s.must(word[i])
	}
}

func (s *scanner) end() {
	s.space()
	if s.i < len(s.b) {
		s.fail()
	}
}

// natureOf tells whether all of b is ASCII, and whether it is plain: no byte in it is below a space, and none
// is a backslash, so that a text of it ends at the next quotation mark. It looks at eight bytes at a time.
func natureOf(b string) (ascii, plain bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	var high, odd uint64
	for ; len(b) >= 8; b = b[8:] {
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		slash := w ^ '\\'*ones
		high |= w
		odd |= (w-' '*ones)&^w | (slash-ones)&^slash // the high bit of each byte that is one of the two
	}
	for i := range len(b) {
		high |= uint64(b[i])
		if b[i] < ' ' || b[i] == '\\' {
			odd |= highs
		}
	}
	return high&highs == 0, odd&highs == 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// unquote reads a JSON string, without copying one that has no escapes, and refuses half of a surrogate
// pair, which Go would quietly replace.
func unquote(raw string) (string, error) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	if hasLoneSurrogate(raw) {
		return "", errors.New("half of a surrogate pair")
	}
	var s string
	err := json.Unmarshal([]byte(raw), &s)
	return s, err
}

// hasLoneSurrogate looks at the \u escapes of a valid JSON string: each half must stand beside its other.
func hasLoneSurrogate(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		half := escapedUnit(raw[i:])
		switch {
		case !utf16.IsSurrogate(half):
			i++ // past what was escaped, which may be a backslash
		case utf16.DecodeRune(half, escapedUnit(raw[i+6:])) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// escapedUnit reads the \uXXXX that raw begins with; 0 where it begins with anything else.
func escapedUnit(raw string) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(raw[2:6], 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}
