package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"tallyman/contract"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var documentedCommand = regexp.MustCompile("\\| `tallyman ([a-z]+)")

// Every command is in the table of docs/cli.md, and the table names no other.
func TestEveryCommandIsDocumented(t *testing.T) {
	t.Parallel()
	named := make(map[string]bool)
	for _, m := range documentedCommand.FindAllStringSubmatch(read(t, "docs/cli.md"), -1) {
		named[m[1]] = true
	}
	for _, c := range newRoot().Commands() {
		if !named[c.Name()] {
			t.Errorf("docs/cli.md does not name %q", c.Name())
		}
		delete(named, c.Name())
	}
	for name := range named {
		t.Errorf("docs/cli.md names %q, which is no command", name)
	}
}

var documentedFlag = regexp.MustCompile("`--([a-z-]+)")

// Every flag that docs/configuration.md gives tallyman dev is one.
func TestEveryDocumentedFlagOfDevExists(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(read(t, "docs/configuration.md"), "## tallyman dev")
	if !ok {
		t.Fatal("docs/configuration.md has no section on tallyman dev")
	}
	n := 0
	for _, m := range documentedFlag.FindAllStringSubmatch(section, -1) {
		n++
		if newDev(&shared{}).Flags().Lookup(m[1]) == nil {
			t.Errorf("docs/configuration.md names --%s, which tallyman dev does not have", m[1])
		}
	}
	if n < 8 {
		t.Errorf("only %d flags were found: this test looks for the wrong thing", n)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every configuration in the documents is one that is accepted.
func TestDocumentedConfigurationsAreAccepted(t *testing.T) {
	t.Parallel()
	n := 0
	for _, path := range []string{"docs/configuration.md", "docs/own-job.md", "docs/webhooks.md"} {
		for _, m := range yamlBlock.FindAllStringSubmatch(read(t, path), -1) {
			n++
			b, err := yaml.YAMLToJSONStrict([]byte(m[1]))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if _, err := contract.DecodeConfig(b); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if n < 2 {
		t.Errorf("only %d configurations were found", n)
	}
}

// The example of the demonstration is what the command in its name makes.
func TestOrdersAreWhatProduceMakes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := writeSales(&b, newSales(7, 0.02), 1000, "csv"); err != nil {
		t.Fatal(err)
	}
	if b.String() != read(t, ordersFile) {
		t.Error("examples/orders.csv is not what `tallyman produce --seed 7 --bad 2% --count 1000 --print csv` prints")
	}
}

func TestASeedMakesTheSameEvents(t *testing.T) {
	t.Parallel()
	a, b, c := newSales(1, 0.1), newSales(1, 0.1), newSales(2, 0.1)
	bad, differs := 0, false
	for range 1000 {
		x, y, z := a.next(), b.next(), c.next()
		if x != y {
			t.Fatalf("%+v and %+v", x, y)
		}
		differs = differs || x != z
		if x.BadMsg != (x.StoreID == 0) {
			t.Errorf("%+v", x)
		}
		if x.BadMsg {
			bad++
		}
	}
	if !differs || bad < 70 || bad > 130 {
		t.Errorf("seeds differ: %v; %d of 1000 are bad at 10%%", differs, bad)
	}
}
