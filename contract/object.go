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
)

// object reads the fields of one JSON object and keeps the first fault. Plain encoding/json and plain
// serde disagree on half of the odd inputs (other case, duplicates, null, lone surrogates, trailing
// bytes); these rules are few enough to be the same in both languages, and testdata/ holds them to it.
type object struct {
	prefix string
	fields []field
	err    *Error
}

type field struct {
	key string
	raw []byte
}

// openObject checks the whole of b once: size, UTF-8, depth, syntax, and no key twice at the top.
func openObject(b []byte, limit int) (*object, *Error) {
	switch {
	case len(b) > limit:
		return nil, Errorf(CodeTooLarge, "", "%d bytes, at most %d are allowed", len(b), limit)
	case !utf8.Valid(b):
		return nil, Errorf(CodeMalformed, "", "not UTF-8")
	case depth(b) > MaxDepth:
		return nil, Errorf(CodeTooDeep, "", "nested deeper than %d", MaxDepth)
	case !json.Valid(b):
		return nil, Errorf(CodeMalformed, "", "not one JSON value")
	}
	return splitObject(b, "")
}

// depth counts the deepest nesting outside of strings; b need not be valid.
func depth(b []byte) (deepest int) {
	level := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}

// skipString gives the index of the quote that ends the string beginning at i, or the last index.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b) - 1
}

// splitObject cuts valid JSON into its fields without copying their values.
func splitObject(b []byte, prefix string) (*object, *Error) {
	if len(b) == 0 || b[0] != '{' {
		return nil, Errorf(CodeNotObject, strings.TrimSuffix(prefix, "."), "the first byte must be {")
	}
	o := &object{prefix: prefix}
	for i := 1; ; {
		i = skipSpace(b, i)
		if b[i] == '}' {
			return o, nil
		}
		end := skipString(b, i)
		key, err := unquote(b[i : end+1])
		if err != nil {
			return nil, Errorf(CodeMalformed, "", "a key is not text")
		}
		if o.raw(key) != nil {
			return nil, Errorf(CodeDuplicateKey, prefix+key, "stands twice")
		}
		if len(o.fields) == MaxFields {
			return nil, Errorf(CodeTooLarge, prefix+key, "more than %d fields", MaxFields)
		}
		i = skipSpace(b, skipSpace(b, end+1)+1) // past the colon
		end = skipValue(b, i)
		o.fields = append(o.fields, field{key, b[i:end]})
		i = skipSpace(b, end)
		if b[i] == ',' {
			i++
		}
	}
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' {
		i++
	}
	return i
}

// skipValue gives the index after the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i) + 1
	case '{', '[':
		for level := 0; ; i++ {
			switch b[i] {
			case '"':
				i = skipString(b, i)
			case '{', '[':
				level++
			case '}', ']':
				if level--; level == 0 {
					return i + 1
				}
			}
		}
	}
	for !bytes.ContainsRune([]byte(",}] \n\r\t"), rune(b[i])) {
		i++
	}
	return i
}

// unquote reads a JSON string, and refuses a lone surrogate, which Go would quietly replace.
func unquote(raw []byte) (string, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", err
	}
	if strings.ContainsRune(s, utf8.RuneError) && !bytes.ContainsRune(raw, utf8.RuneError) &&
		!bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
		return "", Errorf(CodeInvalidValue, "", "a lone surrogate")
	}
	return s, nil
}

func (o *object) raw(key string) []byte {
	for i := range o.fields {
		if o.fields[i].key == key {
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
	raw := o.want(key, required)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' {
		o.fail(CodeWrongType, key, "must be a string")
		return ""
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

// word reads a string that check must accept; an empty optional one is refused too.
func (o *object) word(key string, required bool, check func(string) bool, form string) string {
	s := o.text(key, required, 4096)
	if o.has(key) && o.err == nil && !check(s) {
		o.fail(CodeInvalidValue, key, "must be %s", form)
	}
	return s
}

func (o *object) token(key string, required bool) string {
	return o.word(key, required, ValidToken, "1 to 64 of A-Z a-z 0-9 _ -")
}

func (o *object) jobID(key string, required bool) string {
	return o.word(key, required, ValidJobID, "a UUID in lower case")
}

func (o *object) label(key string, required bool, limit int) string {
	return o.word(key, required, func(s string) bool { return ValidLabel(s, limit) },
		"1 to "+strconv.Itoa(limit)+" printable ASCII characters without spaces")
}

func (o *object) time(key string, required bool) (t Time) {
	o.word(key, required, func(s string) (ok bool) {
		var err error
		t, err = ParseTime(s)
		return err == nil
	}, "a time like 2026-11-21T16:00:00.000Z")
	return t
}

// integer accepts digits with an optional minus, no fraction and no exponent.
func (o *object) integer(key string, required bool, least, most int) int {
	raw := o.want(key, required)
	if raw == nil {
		return 0
	}
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		o.fail(CodeWrongType, key, "must be an integer")
		return 0
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < least || n > most {
		o.fail(CodeInvalidValue, key, "must be %d to %d", least, most)
	}
	return n
}

func (o *object) boolean(key string) bool {
	raw := o.want(key, false)
	if raw != nil && string(raw) != "true" && string(raw) != "false" {
		o.fail(CodeWrongType, key, "must be true or false")
	}
	return string(raw) == "true"
}

// bytes reads standard base64 with padding.
func (o *object) bytes(key string, required bool, limit int) []byte {
	s := o.text(key, required, base64.StdEncoding.EncodedLen(limit))
	if s == "" {
		if o.has(key) && o.err == nil {
			return []byte{}
		}
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		o.fail(CodeInvalidValue, key, "must be base64")
	}
	return b
}

// labels reads a list of at most count labels.
func (o *object) labels(key string, count, limit int) []string {
	raw := o.want(key, false)
	if raw == nil {
		return nil
	}
	if raw[0] != '[' {
		o.fail(CodeWrongType, key, "must be a list of strings")
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		o.fail(CodeWrongType, key, "must be a list of strings")
	}
	if len(list) > count {
		o.fail(CodeTooLarge, key, "at most %d", count)
		return nil
	}
	out := make([]string, 0, len(list))
	for i, item := range list {
		one := object{prefix: o.prefix, fields: []field{{key + "[" + strconv.Itoa(i) + "]", item}}}
		out = append(out, one.label(one.fields[0].key, true, limit))
		if one.err != nil && o.err == nil {
			o.err = one.err
		}
	}
	return out
}

// version reads "v", before anything else is judged: a newer writer may mean other things by the rest.
func (o *object) version(newest int) {
	raw := o.want("v", true)
	if raw == nil {
		return
	}
	if n := o.integer("v", true, 0, 1<<30); o.err == nil && n != newest {
		o.fail(CodeUnknownVersion, "v", "version %d is not known here", n)
	}
}
