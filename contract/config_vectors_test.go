package contract

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// configFloor is the fewest vectors that each folder of testdata/config must have.
var configFloor = map[string]int{"valid": 14, "strict": 23, "refused": 57}

// wantQueue is what both languages must read in a queue of a configuration.
type wantQueue struct {
	Name         string     `json:"name"`
	VisibilityMs int64      `json:"visibilityMs"`
	DefaultType  string     `json:"defaultType"`
	Types        []wantType `json:"types"`
}

type wantType struct {
	Name      string   `json:"name"`
	TimeoutMs int64    `json:"timeoutMs"`
	Command   []string `json:"command"`
}

// configVectors reads the files of a folder of testdata/config.
func configVectors(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "config", folder, "*.json"))
	if err != nil || len(paths) < configFloor[folder] {
		t.Fatalf("testdata/config/%s: %d vectors, at least %d: %v", folder, len(paths), configFloor[folder], err)
	}
	all := make(map[string][]byte)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = b
	}
	return all
}

func TestConfigVectorsValid(t *testing.T) {
	t.Parallel()
	for name, b := range configVectors(t, "valid") {
		var v struct {
			Config json.RawMessage `json:"config"`
			Want   []wantQueue     `json:"want"`
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c, err := DecodeConfig(v.Config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(v.Want, asWanted(&c)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func asWanted(c *Config) []wantQueue {
	var all []wantQueue
	for _, q := range c.Queues {
		w := wantQueue{Name: q.Name, VisibilityMs: time.Duration(q.Visibility).Milliseconds(), DefaultType: q.DefaultType}
		for _, t := range q.Types {
			command := append([]string{}, t.Command...)
			w.Types = append(w.Types, wantType{Name: t.Name, TimeoutMs: time.Duration(t.Timeout).Milliseconds(), Command: command})
		}
		all = append(all, w)
	}
	return all
}

func TestConfigVectorsRefused(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"strict", "refused"} {
		for name, b := range configVectors(t, folder) {
			if c, err := DecodeConfig(b); err == nil {
				t.Errorf("%s: accepted as %+v", name, c)
			}
		}
	}
}

// FuzzDecodeConfig: what is accepted is written and read again as the same; nothing makes it panic.
func FuzzDecodeConfig(f *testing.F) {
	for folder := range configFloor {
		for _, b := range configVectors(f, folder) {
			var v struct{ Config json.RawMessage }
			if json.Unmarshal(b, &v) == nil && v.Config != nil {
				b = v.Config
			}
			f.Add([]byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := bytes.Clone(b)
		c, err := DecodeConfig(b)
		if !bytes.Equal(b, whole) {
			t.Fatal("decoding wrote to the configuration")
		}
		if err != nil {
			return
		}
		once, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("accepted, but not written again: %v", err)
		}
		again, err := DecodeConfig(once)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, once)
		}
		if d := cmp.Diff(asWanted(&c), asWanted(&again)); d != "" {
			t.Fatalf("read again it is another (-first +second):\n%s", d)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written again it is another: %v\n%s\n%s", err, once, twice)
		}
	})
}
