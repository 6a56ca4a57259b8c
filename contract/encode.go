package contract

import (
	"bytes"
	"encoding/json"
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
