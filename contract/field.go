package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

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
	if !areDigits(strings.TrimPrefix(raw, "-")) {
		o.fail(CodeWrongType, key, "must be an integer")
		return 0
	}
	n, err := strconv.Atoi(raw)
	if err != nil || raw[0] == '-' || n < least || n > most {
		o.fail(CodeInvalidValue, key, "must be %d to %d", least, most)
	}
	return n
}

func areDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
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
		item := object{prefix: o.prefix, fields: []field{{name, string(raw)}}, known: bitOf(name), err: o.err}
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
