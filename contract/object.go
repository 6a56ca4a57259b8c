package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of every decoding.
const (
	MaxDepth  = 512 // levels of nesting in a message, its payload included
	MaxFields = 128 // fields of one object of ours

	maxWord    = 4096 // bytes of a string whose form is then checked
	maxVersion = 1<<31 - 1
)

// object reads the fields of one JSON object and keeps the first fault. Plain encoding/json and plain
// serde disagree on half of the odd inputs (other case, duplicates, null, lone surrogates, trailing
// bytes); these rules are few enough to be the same in both languages, and testdata/ holds them to it.
//
// Reading an event is most of what following the stream costs, so an object lives on the stack of who
// reads it, and the texts are parts of one string: two pieces of memory for a whole message.
type object struct {
	prefix string
	plain  bool      // the text has no escapes
	next   int       // where the field after the last one found stands: most are asked for in order
	near   [24]field // most objects have no more
	far    []field
	count  int
	err    *Error
}

// field is a key without its quotes and the text of its value, which is never empty.
type field struct{ key, raw string }

// open checks the whole of b once: size, UTF-8, depth, syntax, and no key twice at the top.
func (o *object) open(b []byte, limit int) *Error { return o.openBoth(b, limit, nil) }

// openBoth fills inner in the same walk, if there is one, from the field that inner's prefix names.
func (o *object) openBoth(b []byte, limit int, inner *object) *Error {
	switch {
	case len(b) > limit:
		return Errorf(CodeTooLarge, "", "%d bytes, at most %d are allowed", len(b), limit)
	case !utf8.Valid(b):
		return Errorf(CodeMalformed, "", "not UTF-8")
	}
	return o.split(string(b), inner)
}

// split cuts JSON into its fields without copying their values.
func (o *object) split(text string, inner *object) *Error {
	o.plain = strings.IndexByte(text, '\\') < 0
	if inner != nil {
		inner.plain = o.plain
	}
	s := scanner{b: text}
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
	raw := o.want(key, true)
	switch {
	case o.err != nil:
		return o.err
	case raw[0] != '{':
		return inner.notObject()
	}
	return inner.err
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
	case o.has(key):
		o.keep(Errorf(CodeDuplicateKey, o.prefix+key, "stands twice"))
	case o.count == MaxFields:
		o.keep(Errorf(CodeTooLarge, o.prefix+key, "more than %d fields", MaxFields))
	case o.count < len(o.near):
		o.near[o.count] = field{key, raw}
		o.count++
	default:
		o.far = append(o.far, field{key, raw})
		o.count++
	}
}

// at is the field number i.
func (o *object) at(i int) field {
	if i < len(o.near) {
		return o.near[i]
	}
	return o.far[i-len(o.near)]
}

// raw is the text of a field's value; "" where it is absent.
func (o *object) raw(key string) string {
	near := min(o.count, len(o.near))
	for i := o.next; i < near; i++ {
		if o.near[i].key == key {
			o.next = i + 1
			return o.near[i].raw
		}
	}
	for i := range min(o.next, near) {
		if o.near[i].key == key {
			return o.near[i].raw
		}
	}
	for i := range o.far {
		if o.far[i].key == key {
			return o.far[i].raw
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

// want gives the text of a field's value; a null is a fault, and so is the absence of a required one.
func (o *object) want(key string, required bool) string {
	raw := o.raw(key)
	switch {
	case raw == "" && required:
		o.fail(CodeMissingField, key, "is required")
	case raw == "null":
		o.fail(CodeNullField, key, "is null; leave it out instead")
		return ""
	}
	return raw
}

// text reads a string; "" where it is absent.
func (o *object) text(key string, required bool, limit int) string {
	s, _ := o.given(key, required, limit)
	return s
}

// given reads a string and tells whether there is one, since an empty one is there too.
func (o *object) given(key string, required bool, limit int) (string, bool) {
	raw := o.want(key, required)
	if raw == "" {
		return "", false
	}
	if raw[0] != '"' {
		o.fail(CodeWrongType, key, "must be a string")
		return "", false
	}
	s, err := o.unquote(raw)
	if err != nil {
		o.fail(CodeInvalidValue, key, "is not text")
	}
	if len(s) > limit {
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", len(s), limit)
	}
	return s, true
}

// form is what a string must be like, and the words for it.
type form struct {
	ok   func(string) bool
	says string
}

var (
	tokenForm     = form{ValidToken, "1 to 64 of A-Z a-z 0-9 _ -"}
	jobIDForm     = form{ValidJobID, "a UUID in lower case"}
	nameForm      = labelForm(MaxNameBytes)
	submitterForm = labelForm(MaxSubmitter)
	tagForm       = labelForm(MaxTag)
)

func labelForm(limit int) form {
	return form{
		func(s string) bool { return ValidLabel(s, limit) },
		"1 to " + strconv.Itoa(limit) + " printable ASCII characters without spaces",
	}
}

// word reads a string of a form; an empty optional one is refused too.
func (o *object) word(key string, required bool, f form) string {
	s, there := o.given(key, required, maxWord)
	if !there || o.err != nil {
		return ""
	}
	if !f.ok(s) {
		o.fail(CodeInvalidValue, key, "must be %s", f.says)
	}
	return s
}

// oneOf reads a word of a closed set.
func oneOf[T ~string](o *object, key string, required bool, set []T) T {
	s, there := o.given(key, required, maxWord)
	if !there || o.err != nil {
		return ""
	}
	for _, word := range set {
		if string(word) == s {
			return word
		}
	}
	o.fail(CodeInvalidValue, key, "must be one of %s", set)
	return ""
}

func (o *object) constant(key string, required bool, value string) {
	if s, there := o.given(key, required, maxWord); there && o.err == nil && s != value {
		o.fail(CodeInvalidValue, key, "must be %s", value)
	}
}

func (o *object) token(key string, required bool) string { return o.word(key, required, tokenForm) }

func (o *object) jobID(key string, required bool) string { return o.word(key, required, jobIDForm) }

func (o *object) time(key string, required bool) Time {
	s, there := o.given(key, required, maxWord)
	if !there || o.err != nil {
		return Time{}
	}
	t, ok := parseTime(s)
	if !ok {
		o.fail(CodeInvalidValue, key, "must be a time like 2026-11-21T16:00:00.000Z")
	}
	return t
}

// integer accepts digits without fraction and exponent; nothing of ours is negative, not even 0.
func (o *object) integer(key string, required bool, least, most int) int {
	raw := o.want(key, required)
	if raw == "" {
		return 0
	}
	digits := strings.TrimPrefix(raw, "-")
	if digits == "" || strings.TrimLeft(digits, "0123456789") != "" {
		o.fail(CodeWrongType, key, "must be an integer")
		return 0
	}
	n, err := strconv.Atoi(raw)
	if err != nil || raw[0] == '-' || n < least || n > most {
		o.fail(CodeInvalidValue, key, "must be %d to %d", least, most)
	}
	return n
}

// integerOr0 reads an optional integer; 0 where it is absent.
func (o *object) integerOr0(key string, least, most int) int {
	if !o.has(key) {
		return 0
	}
	return o.integer(key, true, least, most)
}

// exitCode reads an optional exit code; nil where it is absent, since 0 says something.
func (o *object) exitCode(key string) *int {
	if !o.has(key) {
		return nil
	}
	n := o.integer(key, true, 0, 255)
	return &n
}

func (o *object) boolean(key string) bool {
	raw := o.want(key, false)
	if raw != "" && raw != "true" && raw != "false" {
		o.fail(CodeWrongType, key, "must be true or false")
	}
	return raw == "true"
}

// bytes reads standard base64 with padding, of least to most bytes; nil where it is absent.
func (o *object) bytes(key string, required bool, least, most int) []byte {
	s, there := o.given(key, required, base64.StdEncoding.EncodedLen(most))
	if !there || o.err != nil {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	switch {
	case err != nil || strings.ContainsAny(s, "\r\n"): // Go skips line ends; nobody else does
		o.fail(CodeInvalidValue, key, "must be base64")
	case len(b) < least:
		o.fail(CodeInvalidValue, key, "is empty")
	case len(b) > most:
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", len(b), most)
	}
	return b
}

// json reads any JSON value, null too, and takes the white space between its tokens out.
func (o *object) json(key string, limit int) json.RawMessage {
	raw := o.raw(key)
	if raw == "" {
		return nil
	}
	if len(raw) > limit {
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", len(raw), limit)
		return nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(raw)); err != nil {
		o.fail(CodeMalformed, key, "is not JSON")
	}
	return b.Bytes()
}

// absent refuses a field that must not be there.
func (o *object) absent(key, why string) {
	if o.has(key) {
		o.fail(CodeInvalidValue, key, "%s", why)
	}
}

// words reads a list of at most count strings of a form; nil where it is absent or empty.
func (o *object) words(key string, count int, f form) []string {
	raw := o.want(key, false)
	if raw == "" {
		return nil
	}
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal([]byte(raw), &list) != nil {
		o.fail(CodeWrongType, key, "must be a list of strings")
		return nil
	}
	if len(list) > count {
		o.fail(CodeTooLarge, key, "%d, at most %d are allowed", len(list), count)
		return nil
	}
	var out []string
	for i, raw := range list {
		name := key + "[" + strconv.Itoa(i) + "]"
		item := object{prefix: o.prefix, near: [24]field{{name, string(raw)}}, count: 1, err: o.err}
		out = append(out, item.word(name, true, f))
		o.err = item.err
	}
	return out
}

// version reads "v", before anything else is judged: a newer writer may mean other things by the rest.
// There never was a version 0, so nobody need wait for a program that knows it.
func (o *object) version(newest int) {
	if n := o.integer("v", true, 1, maxVersion); o.err == nil && n > newest {
		o.fail(CodeUnknownVersion, "v", "version %d is not known here", n)
	}
}
