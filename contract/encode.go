package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

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

// writer appends an object field by field, the same bytes as encode gives, in a tenth of the time: every job
// has half a dozen events. A field that is empty is left out.
type writer struct {
	b   []byte
	err error
}

// open begins an object: the outermost, with no key, or the value of a field.
func (w *writer) open(key string) {
	if key != "" {
		w.key(key)
	}
	w.b = append(w.b, '{')
}

func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) key(key string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, key...)
	w.b = append(w.b, '"', ':')
}

// text leaves to encoding/json what has anything to escape in it.
func (w *writer) text(key, s string) {
	if s == "" {
		return
	}
	w.key(key)
	if ascii, plain := natureOf(s); ascii && plain && strings.IndexByte(s, '"') < 0 {
		w.b = append(w.b, '"')
		w.b = append(w.b, s...)
		w.b = append(w.b, '"')
		return
	}
	b, err := encode(s)
	w.keep(b, err)
}

func (w *writer) number(key string, n int) {
	if n != 0 {
		w.integer(key, n)
	}
}

// integer writes 0 too.
func (w *writer) integer(key string, n int) {
	w.key(key)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *writer) time(key string, t Time) {
	if !t.IsZero() {
		w.key(key)
		w.b = append(t.AppendTo(append(w.b, '"')), '"')
	}
}

func (w *writer) bytes(key string, b []byte) {
	if len(b) > 0 {
		w.key(key)
		w.b = append(base64.StdEncoding.AppendEncode(append(w.b, '"'), b), '"')
	}
}

func (w *writer) json(key string, raw json.RawMessage) {
	if len(raw) > 0 {
		w.key(key)
		b, err := encode(raw)
		w.keep(b, err)
	}
}

func (w *writer) keep(b []byte, err error) {
	w.b = append(w.b, b...)
	if w.err == nil {
		w.err = err
	}
}
