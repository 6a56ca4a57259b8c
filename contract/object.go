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
type object struct {
	prefix string
	fields []field
	err    *Error
}

// field is a key without its quotes and the bytes of its value.
type field struct{ key, raw []byte }

// openObject checks the whole of b once: size, UTF-8, depth, syntax, and no key twice at the top.
func openObject(b []byte, limit int) (*object, *Error) {
	switch {
	case len(b) > limit:
		return nil, Errorf(CodeTooLarge, "", "%d bytes, at most %d are allowed", len(b), limit)
	case !utf8.Valid(b):
		return nil, Errorf(CodeMalformed, "", "not UTF-8")
	}
	return splitObject(b, "")
}

// splitObject cuts JSON into its fields without copying their values.
func splitObject(b []byte, prefix string) (*object, *Error) {
	o := &object{prefix: prefix, fields: make([]field, 0, 16)}
	s := scanner{b: b}
	if s.peek() == '{' {
		s.object(o.add)
	} else {
		s.space()
		s.value()
	}
	s.end()
	switch {
	case s.err != nil:
		return nil, s.err
	case b[0] != '{':
		return nil, Errorf(CodeNotObject, strings.TrimSuffix(prefix, "."), "the first byte must be {")
	}
	return o, nil
}

func (o *object) add(quoted, raw []byte) *Error {
	key, err := unquote(quoted)
	switch {
	case err != nil:
		return Errorf(CodeMalformed, "", "a key is not text")
	case o.has(string(key)):
		return Errorf(CodeDuplicateKey, o.prefix+string(key), "stands twice")
	case len(o.fields) == MaxFields:
		return Errorf(CodeTooLarge, o.prefix+string(key), "more than %d fields", MaxFields)
	}
	o.fields = append(o.fields, field{key, raw})
	return nil
}

func (o *object) raw(key string) []byte {
	for i := range o.fields {
		if string(o.fields[i].key) == key {
			return o.fields[i].raw
		}
	}
	return nil
}

func (o *object) has(key string) bool { return o.raw(key) != nil }

func (o *object) fail(code Code, key, format string, args ...any) {
	if o.err == nil {
		o.err = Errorf(code, o.prefix+key, format, args...)
	}
}

// want gives the raw value of a field; a null is a fault, and so is the absence of a required one.
func (o *object) want(key string, required bool) []byte {
	raw := o.raw(key)
	switch {
	case raw == nil && required:
		o.fail(CodeMissingField, key, "is required")
	case string(raw) == "null":
		o.fail(CodeNullField, key, "is null; leave it out instead")
		return nil
	}
	return raw
}

func (o *object) text(key string, required bool, limit int) string {
	return string(o.textBytes(key, required, limit))
}

// textBytes is text that may share the message's memory.
func (o *object) textBytes(key string, required bool, limit int) []byte {
	raw := o.want(key, required)
	if raw == nil {
		return nil
	}
	if raw[0] != '"' {
		o.fail(CodeWrongType, key, "must be a string")
		return nil
	}
	s, err := unquote(raw)
	if err != nil {
		o.fail(CodeInvalidValue, key, "is not text")
	}
	if len(s) > limit {
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", len(s), limit)
	}
	return s
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
	b := o.textBytes(key, required, maxWord)
	if b == nil || o.err != nil {
		return ""
	}
	s := string(b)
	if !f.ok(s) {
		o.fail(CodeInvalidValue, key, "must be %s", f.says)
	}
	return s
}

// oneOf reads a word of a closed set.
func oneOf[T ~string](o *object, key string, required bool, set []T) T {
	s := o.textBytes(key, required, maxWord)
	if s == nil || o.err != nil {
		return ""
	}
	for _, word := range set {
		if string(word) == string(s) {
			return word
		}
	}
	o.fail(CodeInvalidValue, key, "must be one of %s", set)
	return ""
}

func (o *object) constant(key string, required bool, value string) {
	oneOf(o, key, required, []string{value})
}

func (o *object) token(key string, required bool) string { return o.word(key, required, tokenForm) }

func (o *object) jobID(key string, required bool) string { return o.word(key, required, jobIDForm) }

func (o *object) time(key string, required bool) Time {
	s := o.textBytes(key, required, maxWord)
	if s == nil || o.err != nil {
		return Time{}
	}
	t, ok := parseTime(string(s))
	if !ok {
		o.fail(CodeInvalidValue, key, "must be a time like 2026-11-21T16:00:00.000Z")
	}
	return t
}

// integer accepts digits without fraction and exponent; nothing of ours is negative, not even 0.
func (o *object) integer(key string, required bool, least, most int) int {
	raw := o.want(key, required)
	if raw == nil {
		return 0
	}
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(bytes.TrimLeft(digits, "0123456789")) > 0 {
		o.fail(CodeWrongType, key, "must be an integer")
		return 0
	}
	n, err := strconv.Atoi(string(raw))
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
	if raw != nil && string(raw) != "true" && string(raw) != "false" {
		o.fail(CodeWrongType, key, "must be true or false")
	}
	return string(raw) == "true"
}

// bytes reads standard base64 with padding, of least to most bytes; nil where it is absent.
func (o *object) bytes(key string, required bool, least, most int) []byte {
	s := o.textBytes(key, required, base64.StdEncoding.EncodedLen(most))
	if s == nil || o.err != nil {
		return nil
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, s)
	switch {
	case err != nil || bytes.ContainsAny(s, "\r\n"): // Go skips line ends; nobody else does
		o.fail(CodeInvalidValue, key, "must be base64")
	case n < least:
		o.fail(CodeInvalidValue, key, "is empty")
	case n > most:
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", n, most)
	}
	return b[:n]
}

// json reads any JSON value, null too, and takes the white space between its tokens out.
func (o *object) json(key string, limit int) json.RawMessage {
	raw := o.raw(key)
	if raw == nil {
		return nil
	}
	if len(raw) > limit {
		o.fail(CodeTooLarge, key, "%d bytes, at most %d are allowed", len(raw), limit)
		return nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
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
	if raw == nil {
		return nil
	}
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
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
		item := object{prefix: o.prefix, fields: []field{{[]byte(name), raw}}, err: o.err}
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

// encode writes v as encoding/json does, but leaves < > & as they are: no web page holds these bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// splice writes raw as the last field of the object b, byte for byte; encoding/json would rewrite it.
func splice(b []byte, key string, raw []byte) ([]byte, error) {
	if !json.Valid(raw) { // else `1,"run":2` would add fields of ours
		return nil, Errorf(CodeMalformed, key, "not one JSON value")
	}
	b = append(b[:len(b)-1], `,"`+key+`":`...)
	return append(append(b, raw...), '}'), nil
}
