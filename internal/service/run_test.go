package service_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"tallyman/internal/service"
)

// trace records in which order parts end.
type trace struct {
	mu   sync.Mutex
	ends []string
}

func (tr *trace) part(name string) service.Part {
	return service.Part{Name: name, Run: func(ctx context.Context) error {
		<-ctx.Done()
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.ends = append(tr.ends, name)
		return nil
	}}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPartsEndInReverseOrder(t *testing.T) {
	t.Parallel()
	var tr trace
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := service.Run(ctx, quiet(), tr.part("store"), tr.part("worker"), tr.part("listener")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"listener", "worker", "store"}, tr.ends); diff != "" {
		t.Error(diff)
	}
}

func TestAPartThatEndsEndsTheProgram(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"with an error": errors.New("out of ink"), "without one": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tr trace
			err := service.Run(t.Context(), quiet(), tr.part("store"),
				service.Part{Name: "printer", Run: func(context.Context) error { return end }})
			if err == nil || !strings.Contains(err.Error(), "printer") || end != nil && !errors.Is(err, end) {
				t.Errorf("%v", err)
			}
			if diff := cmp.Diff([]string{"store"}, tr.ends); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAdminNamesEveryPartThatIsNotReady(t *testing.T) {
	t.Parallel()
	away := errors.New("NATS does not answer")
	a, err := service.NewAdmin("127.0.0.1:0", []service.Part{
		{Name: "api", Ready: func(context.Context) error { return nil }},
		{Name: "aggregator", Ready: func(context.Context) error { return away }},
		{Name: "bridge", Ready: func(context.Context) error { return away }},
		{Name: "quiet"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if code, _ := get(t, a.URL()+"/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	code, body := get(t, a.URL()+"/readyz")
	want := "aggregator: NATS does not answer\nbridge: NATS does not answer\n"
	if code != http.StatusServiceUnavailable || body != want {
		t.Errorf("%d %s", code, body)
	}
	if _, err := service.NewAdmin(strings.TrimPrefix(a.URL(), "http://"), nil); err == nil {
		t.Error("a taken port was no error")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEnvironmentMirrorsFlags(t *testing.T) {
	t.Setenv("TALLYMAN_NATS_URL", "nats://from-env")
	t.Setenv("TALLYMAN_REPLICAS", "three")
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	url := f.String("nats-url", "", "")
	given := f.String("given", "", "")
	f.Int("replicas", 1, "")
	t.Setenv("TALLYMAN_GIVEN", "from-env")
	if err := f.Parse([]string{"--given", "from-flag"}); err != nil {
		t.Fatal(err)
	}
	err := service.ApplyEnv(f)
	if err == nil || !strings.Contains(err.Error(), "TALLYMAN_REPLICAS") {
		t.Errorf("a wrong value: %v", err)
	}
	if *url != "nats://from-env" || *given != "from-flag" {
		t.Errorf("%q, %q", *url, *given)
	}
}

func TestLoadConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("queues:\n- name: default\n  types: [{name: probe}, {name: own, command: [/bin/true], timeout: 10m}]\n")
	c, err := service.LoadConfig(path)
	if err != nil || c.Queues[0].Max == 0 || c.Queues[0].DefaultType != "probe" {
		t.Fatalf("%+v, %v", c, err)
	}
	write("queues:\n- name: a b\n  max: -1\n  types: [{name: nobody}]\n- name: a b\n  types: []\n")
	_, err = service.LoadConfig(path)
	for _, part := range []string{path, "queues[0].name", "queues[0].max", "needs a command", "stands twice", "queues[1].types"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	write("queues:\n- name: default\n  tpyes: []\n")
	if _, err := service.LoadConfig(path); err == nil || !strings.Contains(err.Error(), "tpyes") {
		t.Errorf("an unknown key: %v", err)
	}
}

// YAML 1.1 takes some words for booleans, and nobody would notice within a schema: they are named, all of them.
func TestLoadConfigRefusesWordsThatYAMLMisreads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	load := func(schema string) error {
		t.Helper()
		text := "queues:\n- name: q\n  types: [{name: own, command: [/bin/true], schema: " + schema + "}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := service.LoadConfig(path)
		return err
	}
	err := load(`{properties: {x: {enum: [yes, "no", Off]}, y: {type: number}, n: {minimum: 1}, 010: {}, 7: {}}}`)
	const schema = "queues[0].types[0].schema.properties"
	for _, want := range []string{
		path, schema + `.y: YAML reads the key y as true; write "y" in quotes`, schema + `.n: YAML reads the key n as false; write "n" in quotes`,
		schema + `.x.enum[0]: YAML reads yes as a boolean; write "yes" in quotes, or true or false`, schema + ".x.enum[2]: YAML reads Off",
		schema + ".010: YAML reads the key 010 as 8",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
	if err != nil && strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("more is named than there is: %v", err)
	}
	if err := load(`{properties: {"y": {enum: ["yes", true, False]}, 'n': {}, "010": {}, 7: {}, true: {}}, additionalProperties: false}`); err != nil {
		t.Error(err)
	}
}
