package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// jsonBody gives the request's body, nil where it has none.
func jsonBody(c *fiber.Ctx, limit int) ([]byte, error) {
	body := c.Request().Body() // not c.Body(), which would undo a Content-Encoding without a limit
	if len(body) > limit {
		return nil, contract.Errorf(contract.CodeTooLarge, "", "%d bytes of body, at most %d are allowed", len(body), limit)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if enc := c.Get(fiber.HeaderContentEncoding); enc != "" && enc != "identity" {
		return nil, contract.Errorf(contract.CodeNotJSON, "", "the body is compressed; send it plain")
	}
	if ct := c.Get(fiber.HeaderContentType); ct != "" {
		kind, _, err := mime.ParseMediaType(ct)
		if err != nil || kind != fiber.MIMEApplicationJSON {
			return nil, contract.Errorf(contract.CodeNotJSON, "", "send the header Content-Type: application/json")
		}
	}
	return slices.Clone(body), nil // the buffer is the next request's
}

// form reads the fields of one JSON object and collects every fault, so that a caller sees all at once.
type form struct {
	prefix string
	fields map[string]json.RawMessage
	known  []string
	faults faults
}

// openForm checks the syntax of a body, and that it is one object with no key twice.
func openForm(body []byte) (*form, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	f := &form{fields: make(map[string]json.RawMessage)}
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, _ := dec.Token(); open != json.Delim('{') {
		return nil, contract.Errorf(contract.CodeNotObject, "", "the body must be a JSON object")
	}
	for dec.More() {
		key, _ := dec.Token() // checkJSON has read all of it, so no error is left to come
		name, _ := key.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, contract.Errorf(contract.CodeMalformed, "", "%v", err)
		}
		if _, twice := f.fields[name]; twice {
			f.fail(contract.CodeDuplicateKey, name, "stands twice")
		}
		f.fields[name] = raw
		if len(f.fields) > contract.MaxFields {
			return nil, contract.Errorf(contract.CodeTooLarge, name, "more than %d fields", contract.MaxFields)
		}
	}
	return f, nil
}

// checkJSON says where the syntax of a body breaks.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return contract.Errorf(contract.CodeMalformed, "", "the body is not UTF-8")
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return contract.Errorf(contract.CodeMalformed, "", "the body is not JSON: %v at byte %d", err, syntax.Offset)
	case err != nil:
		return contract.Errorf(contract.CodeMalformed, "", "the body is not JSON: %v", err)
	}
	return nil
}

func (f *form) fail(code contract.Code, field, format string, args ...any) {
	name := f.prefix + contract.CutText(field, contract.MaxToken)
	f.faults.add(fault{
		Code: code, Field: name, Pointer: pointerTo(name), Detail: name + " " + fmt.Sprintf(format, args...),
	})
}

// value gives a field that is there and not null.
func (f *form) value(name string) (json.RawMessage, bool) {
	f.known = append(f.known, name)
	raw, ok := f.fields[name]
	if ok && string(raw) == "null" {
		f.fail(contract.CodeNullField, name, "is null; leave it out instead")
		return nil, false
	}
	return raw, ok
}

// raw gives a field whatever it is, null too.
func (f *form) raw(name string) (json.RawMessage, bool) {
	f.known = append(f.known, name)
	raw, ok := f.fields[name]
	return raw, ok
}

func (f *form) text(name, shape string, check func(string) bool) string {
	raw, ok := f.value(name)
	if !ok {
		return ""
	}
	var s string
	switch err := json.Unmarshal(raw, &s); {
	case err != nil:
		f.fail(contract.CodeWrongType, name, "must be a string")
	case !check(s):
		f.fail(contract.CodeInvalidValue, name, "must be %s", shape)
	}
	return s
}

func (f *form) token(name string) string {
	return f.text(name, "1 to 64 of A-Z a-z 0-9 _ -", contract.ValidToken)
}

func (f *form) integer(name string, least, most int) int {
	raw, ok := f.value(name)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(string(raw))
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		f.fail(contract.CodeWrongType, name, "must be an integer")
	case err != nil || n < least || n > most:
		f.fail(contract.CodeInvalidValue, name, "must be %d to %d", least, most)
	}
	return n
}

func (f *form) tags() []string {
	raw, ok := f.value("tags")
	if !ok {
		return nil
	}
	var tags []string
	if err := json.Unmarshal(raw, &tags); err != nil {
		f.fail(contract.CodeWrongType, "tags", "must be a list of strings")
		return nil
	}
	if len(tags) > contract.MaxTags {
		f.fail(contract.CodeInvalidValue, "tags", "may be at most %d", contract.MaxTags)
		return nil
	}
	for i, tag := range tags {
		if !contract.ValidLabel(tag, contract.MaxTag) {
			f.fail(contract.CodeInvalidValue, fmt.Sprintf("tags[%d]", i), "must be 1 to %d printable ASCII characters without spaces", contract.MaxTag)
		}
	}
	return tags
}

// done refuses what nobody asked for: a misspelt field would otherwise be ignored in silence.
func (f *form) done() error {
	for name := range f.fields {
		if !slices.Contains(f.known, name) {
			f.fail(contract.CodeInvalidValue, name, "is not a field here; there are %s", strings.Join(f.known, ", "))
		}
	}
	if len(f.faults) == 0 {
		return nil
	}
	slices.SortFunc(f.faults, func(a, b fault) int { return strings.Compare(a.Field, b.Field) })
	return f.faults
}

// splitList cuts a JSON list of at most limit items without reading them.
func splitList(body []byte, limit int) ([]json.RawMessage, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return nil, contract.Errorf(contract.CodeWrongType, "", "the body must be a list of posts")
	}
	var items []json.RawMessage
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
			return nil, contract.Errorf(contract.CodeMalformed, "", "%v", err)
		}
		if items = append(items, raw); len(items) > limit {
			break
		}
	}
	if len(items) == 0 || len(items) > limit {
		return nil, contract.Errorf(contract.CodeInvalidValue, "", "1 to %d posts make a batch", limit)
	}
	return items, nil
}
