package contract

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// fuzzDecode seeds f with every vector of every kind: what is valid for one is odd for the others.
func fuzzDecode(f *testing.F, kind string) {
	for _, v := range vectorsOf(f, "", "valid", "tolerated", "invalid", "malformed") {
		if len(v.bytes) <= 64<<10 { // the mutator gets nowhere with the giants
			f.Add(v.bytes)
		}
	}
	c := codecs[kind]
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := bytes.Clone(b)
		value, err := c.decode(b)
		if !bytes.Equal(b, whole) {
			t.Fatal("decoding wrote to the message")
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		once, err := c.encode(value)
		if err != nil {
			t.Fatalf("accepted, but not encoded again: %v", err)
		}
		checkFixed(t, kind, c, value, once)
		checkAsEncodingJSON(t, b, once)
	})
}

// checkRefusal asserts that what is refused is refused with a code of decoding.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	switch CodeOf(err) {
	case CodeMalformed, CodeNotObject, CodeDuplicateKey, CodeMissingField, CodeNullField, CodeWrongType,
		CodeInvalidValue, CodeUnknownVersion, CodeTooLarge, CodeTooDeep:
	default:
		t.Fatalf("refused with %q: %v", CodeOf(err), err)
	}
}

// checkAsEncodingJSON asserts that encoding/json accepts what we accept, and reads in it every field that
// we wrote back. Fields whose loose spelling became the one spelling were dropped, so they are not asked.
func checkAsEncodingJSON(t *testing.T, b, once []byte) {
	t.Helper()
	var theirs, ours map[string]json.RawMessage
	if err := json.Unmarshal(b, &theirs); err != nil {
		t.Fatalf("encoding/json refuses it: %v", err)
	}
	if err := json.Unmarshal(once, &ours); err != nil {
		t.Fatal(err)
	}
	for key, raw := range ours {
		if key == "data" || key == "datacontenttype" {
			continue
		}
		if !reflect.DeepEqual(parse(t, theirs[key]), parse(t, raw)) {
			t.Fatalf("%s: encoding/json reads %s, we read %s", key, theirs[key], raw)
		}
	}
}

func FuzzDecodeTask(f *testing.F)  { fuzzDecode(f, "task") }
func FuzzDecodeEvent(f *testing.F) { fuzzDecode(f, "event") }
func FuzzDecodeUnit(f *testing.F)  { fuzzDecode(f, "unit") }
func FuzzDecodeRun(f *testing.F)   { fuzzDecode(f, "run") }

// FuzzObject attacks the scanner alone: encoding/json is its judge, but for the codes named here.
func FuzzObject(f *testing.F) {
	for _, v := range vectorsOf(f, "", "valid", "malformed") {
		if len(v.bytes) <= 4<<10 {
			f.Add(v.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o object
		if err := o.open(b, MaxRecordBytes); err != nil {
			checkRefusal(t, err)
			if err.Code == CodeMalformed && err.Message != "a key is not text" && utf8.Valid(b) && json.Valid(b) {
				t.Fatalf("encoding/json accepts it: %v", err)
			}
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(b, &theirs); err != nil || len(theirs) != len(o.fields) {
			t.Fatalf("encoding/json sees %d fields, we see %d: %v", len(theirs), len(o.fields), err)
		}
		for _, field := range o.fields {
			if string(theirs[field.key]) != field.raw {
				t.Fatalf("%q: encoding/json sees %s, we see %s", field.key, theirs[field.key], field.raw)
			}
		}
	})
}

// everyNth gives some small valid vectors of every kind: work on each of their bytes is quadratic.
func everyNth(t *testing.T, n int) (some []vector) {
	t.Helper()
	for i, v := range vectorsOf(t, "", "valid") {
		if len(v.bytes) < 1<<10 && i%n == 0 {
			some = append(some, v)
		}
	}
	return some
}

func TestDecodersRefuseEveryCut(t *testing.T) {
	t.Parallel()
	for _, v := range everyNth(t, 8) {
		for i := range bytes.TrimSpace(v.bytes) {
			if _, err := codecs[v.kind].decode(v.bytes[:i]); err == nil {
				t.Fatalf("%s: accepted without its last %d bytes", v.name, len(v.bytes)-i)
			}
		}
	}
}

// TestDecodersSurviveEveryBend changes some vectors at every byte, as the fuzz targets do at random.
func TestDecodersSurviveEveryBend(t *testing.T) {
	t.Parallel()
	for _, v := range everyNth(t, 32) {
		for i := range v.bytes {
			for _, odd := range []byte{0, '"', '\\', '{', '}', '[', ',', ':', ' ', 0xff} {
				bent := bytes.Clone(v.bytes)
				bent[i] = odd
				checkBent(t, v.name, codecs[v.kind], bent)
			}
		}
	}
}

func checkBent(t *testing.T, name string, c codec, bent []byte) {
	t.Helper()
	value, err := c.decode(bent)
	if err != nil {
		return
	}
	once, err := c.encode(value)
	if err != nil {
		t.Fatalf("%s: accepted, but not encoded again: %v\n%s", name, err, bent)
	}
	checkFixed(t, name, c, value, once)
}
