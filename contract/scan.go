package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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
	o := &object{prefix: prefix, fields: make([]field, 0, 16)}
	for i := 1; ; {
		i = skipSpace(b, i)
		if b[i] == '}' {
			return o, nil
		}
		end := skipString(b, i)
		key, err := unquote(b[i : end+1])
		switch {
		case err != nil:
			return nil, Errorf(CodeMalformed, "", "a key is not text")
		case o.has(string(key)):
			return nil, Errorf(CodeDuplicateKey, prefix+string(key), "stands twice")
		case len(o.fields) == MaxFields:
			return nil, Errorf(CodeTooLarge, prefix+string(key), "more than %d fields", MaxFields)
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
	return i + bytes.IndexAny(b[i:], ",}] \n\r\t")
}

// unquote reads a JSON string, without copying one that has no escapes, and refuses half of a surrogate
// pair, which Go would quietly replace.
func unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	if hasLoneSurrogate(raw) {
		return nil, errors.New("half of a surrogate pair")
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return []byte(s), err
}

// hasLoneSurrogate looks at the \u escapes of a valid JSON string: each half must stand beside its other.
func hasLoneSurrogate(raw []byte) bool {
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
func escapedUnit(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}
