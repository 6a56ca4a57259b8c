package contract

import (
	"strings"
	"unicode/utf8"
)

// Limits of every decoding.
const (
	MaxDepth  = 512 // levels of nesting in a message, its payload included
	MaxFields = 128 // fields of one object of ours

	usualFields = 24   // most objects of ours have no more
	maxWord     = 4096 // bytes of a string whose form is then checked
	maxVersion  = 1<<31 - 1
)

// object reads the fields of one JSON object and keeps the first fault. Plain encoding/json and plain
// serde disagree on half of the odd inputs (other case, duplicates, null, lone surrogates, trailing
// bytes); these rules are few enough to be the same in both languages, and testdata/ holds them to it.
//
// Reading an event is most of what following the stream costs, so an object lives on the stack of who
// reads it, and the texts are parts of one string.
type object struct {
	prefix string
	plain  bool   // the text has no escapes
	known  uint64 // a bit for each key there is: most that are absent are seen to be by it
	next   int    // where the field after the last one found stands: most are asked for in order
	fields []field
	walks  bool    // nothing was found before: each field is looked for where the walk stands
	walk   scanner // a part of the object, since what points to it would not live on the stack
	asked  field   // for last, in a walk
	err    *Error
}

// field is a key without its quotes and the text of its value, which is never empty.
type field struct{ key, raw string }

// open checks the whole of b once: size, UTF-8, depth, syntax, and no key twice at the top.
func (o *object) open(b []byte, limit int) *Error { return o.openBoth(b, limit, nil) }

// openBoth fills inner in the same walk, if there is one, from the field that inner's prefix names.
func (o *object) openBoth(b []byte, limit int, inner *object) *Error {
	text, plain, err := textOf(b, limit)
	if err != nil {
		return err
	}
	return o.split(text, plain, inner)
}

// textOf copies bytes that are to be read.
func textOf(b []byte, limit int) (text string, plain bool, err *Error) {
	if err := fits(len(b), limit); err != nil {
		return "", false, err
	}
	text = string(b)
	plain, err = checkText(text)
	return text, plain, err
}

// checkText checks UTF-8, and tells whether the text is plain.
func checkText(text string) (plain bool, err *Error) {
	ascii, plain := natureOf(text)
	if !ascii && !utf8.ValidString(text) {
		return false, Errorf(CodeMalformed, "", "not UTF-8")
	}
	return plain, nil
}

func fits(length, limit int) *Error {
	if length > limit {
		return Errorf(CodeTooLarge, "", "%d bytes, at most %d are allowed", length, limit)
	}
	return nil
}

// split cuts JSON into its fields without copying their values. That a text is plain makes it quicker only.
func (o *object) split(text string, plain bool, inner *object) *Error {
	o.plain = plain
	if inner != nil {
		inner.plain = plain
	}
	s := scanner{b: text, plain: plain}
	if s.peek() != '{' {
		s.space()
	}
	s.value(o, inner)
	s.end()
	switch {
	case s.err != nil:
		return s.err
	case text[0] != '{':
		return o.notObject()
	}
	return nil
}

// enter gives the first fault of o, then of inner as a whole; with none, inner's fields may be read.
func (o *object) enter(key string, inner *object) *Error {
	if o.walks {
		if !o.walk.field(key) {
			return o.notObject() // for now: whoever walks looks again, at the whole
		}
		inner.begin(o.walk)
		return o.err
	}
	raw := o.want(key, true)
	switch {
	case o.err != nil:
		return o.err
	case raw[0] != '{':
		return inner.notObject()
	}
	return inner.err
}

// begin reads an object without finding its fields first: each is expected where it is asked for, in the
// order that all of ours are written in, and taken for absent where it does not stand. That costs half the
// time, and what was read counts only if ended says so of every object: then each field stood there once
// and was asked for. Else the whole is to be read again by split, which also finds the right fault.
func (o *object) begin(at scanner) {
	o.plain, o.walks, o.walk = true, true, at
	o.walk.open('{')
}

func (o *object) step(key string) string {
	if key == o.asked.key {
		return o.asked.raw
	}
	s := &o.walk
	if !s.field(key) {
		return ""
	}
	start := s.i
	s.value(nil, nil)
	if s.err != nil {
		return ""
	}
	o.asked = field{key, s.b[start:s.i]}
	s.take(',')
	return o.asked.raw
}

// ended gives the walk behind the object, and whether it was read as it stands.
func (o *object) ended() (behind scanner, ok bool) {
	s := o.walk
	behindComma := s.i > 0 && s.b[s.i-1] == ','
	ok = o.err == nil && !behindComma && s.take('}')
	s.level--
	return s, ok
}

func (o *object) notObject() *Error {
	return Errorf(CodeNotObject, strings.TrimSuffix(o.prefix, "."), "the first byte must be {")
}

// of gives o where the key in its quotes is the one that o's prefix names, else nil.
func (o *object) of(quoted string) *object {
	if o == nil || len(quoted) < 2 {
		return nil
	}
	if key, err := o.unquote(quoted); err != nil || key != strings.TrimSuffix(o.prefix, ".") {
		return nil
	}
	return o
}

func (o *object) add(quoted, raw string) {
	key, err := o.unquote(quoted)
	switch {
	case err != nil:
		o.keep(Errorf(CodeMalformed, "", "a key is not text"))
		return
	case o.has(key):
		o.keep(Errorf(CodeDuplicateKey, o.prefix+key, "stands twice"))
		return
	case len(o.fields) == MaxFields:
		o.keep(Errorf(CodeTooLarge, o.prefix+key, "more than %d fields", MaxFields))
		return
	}
	if o.fields == nil {
		o.fields = make([]field, 0, usualFields)
	}
	o.fields = append(o.fields, field{key, raw})
	o.known |= bitOf(key)
}

// bitOf is one of 64 bits; few keys of one object share one.
func bitOf(key string) uint64 {
	if key == "" {
		return 1
	}
	return 1 << ((uint(key[0]) + 2*uint(key[len(key)-1]) + 9*uint(len(key))) % 64)
}

// raw is the text of a field's value; "" where it is absent.
func (o *object) raw(key string) string {
	if o.walks {
		return o.step(key)
	}
	if o.known&bitOf(key) == 0 {
		return ""
	}
	for i := o.next; i < len(o.fields); i++ {
		if o.fields[i].key == key {
			o.next = i + 1
			return o.fields[i].raw
		}
	}
	for i := range o.next {
		if o.fields[i].key == key {
			return o.fields[i].raw
		}
	}
	return ""
}

// unquote takes a JSON string out of its quotes.
func (o *object) unquote(raw string) (string, error) {
	if o.plain {
		return raw[1 : len(raw)-1], nil
	}
	return unquote(raw)
}

func (o *object) has(key string) bool { return o.raw(key) != "" }

// keep notes a fault, if it is the first.
func (o *object) keep(e *Error) {
	if o.err == nil {
		o.err = e
	}
}

func (o *object) fail(code Code, key, format string, args ...any) {
	if o.err == nil {
		o.err = Errorf(code, o.prefix+key, format, args...)
	}
}
