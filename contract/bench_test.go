package contract

import (
	"strings"
	"testing"
	"time"
)

// BenchmarkDecodeEvent is what the aggregator pays for each event before it folds it.
func BenchmarkDecodeEvent(b *testing.B) {
	for _, name := range []string{"submitted", "queued", "claimed", "attempt_failed", "succeeded"} {
		v := vectorNamed(b, "event/valid/kind_"+name+".json")
		event, err := DecodeEvent(v.bytes)
		if err != nil {
			b.Fatal(err)
		}
		compact, err := event.Encode() // as it is on the stream
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(compact)))
			for b.Loop() {
				if _, err := DecodeEvent(compact); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	e := panicked()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTask(b *testing.B) {
	small := probe()
	large := probe()
	large.Payload = []byte(`"` + strings.Repeat("x", 200<<10) + `"`)
	for name, task := range map[string]Task{"small": small, "200KiB": large} {
		bytes, err := task.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bytes)))
			for b.Loop() {
				if _, err := DecodeTask(bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseTime(b *testing.B) {
	s := At(time.Now()).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTime(s); err != nil {
			b.Fatal(err)
		}
	}
}

func vectorNamed(b *testing.B, name string) vector {
	b.Helper()
	for _, v := range vectorsOf(b, "", "valid") {
		if v.name == name {
			return v
		}
	}
	b.Fatalf("no vector %s", name)
	return vector{}
}
