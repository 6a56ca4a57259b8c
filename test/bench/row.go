package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// row is one figure. Reference is what ran beside it, in the same unit; 0 where there is none.
type row struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Reference float64 `json:"reference"`
	Ratio     float64 `json:"ratio"`
	Bar       string  `json:"bar"`
	OK        bool    `json:"ok"`
}

type table struct{ rows []row }

// bar is what a figure must reach.
type bar struct {
	text string
	ok   func(r row) bool
}

func atLeast(v float64) bar {
	return bar{fmt.Sprintf(">= %g", v), func(r row) bool { return r.Value >= v }}
}

func atMost(v float64) bar {
	return bar{fmt.Sprintf("<= %g", v), func(r row) bool { return r.Value <= v }}
}

func within(want, off float64) bar {
	return bar{fmt.Sprintf("%g ± %g", want, off), func(r row) bool { return r.Value >= want-off && r.Value <= want+off }}
}

func ratioAtLeast(v float64) bar {
	return bar{fmt.Sprintf("ratio >= %g", v), func(r row) bool { return r.Ratio >= v }}
}

func ratioAtMost(v float64) bar {
	return bar{fmt.Sprintf("ratio <= %g", v), func(r row) bool { return r.Ratio <= v }}
}

func none() bar { return bar{"", func(row) bool { return true }} }

func (t *table) add(name string, value float64, unit string, reference float64, b bar) {
	r := row{Name: name, Value: value, Unit: unit, Reference: reference, Bar: b.text}
	if reference != 0 {
		r.Ratio = value / reference
	}
	r.OK = b.ok(r)
	t.rows = append(t.rows, r)
}

func (t *table) good() bool {
	for _, r := range t.rows {
		if !r.OK {
			return false
		}
	}
	return true
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tVALUE\tUNIT\tREFERENCE\tRATIO\tBAR\t\t")
	for _, r := range t.rows {
		reference, ratio, mark := "", "", "ok"
		if r.Reference != 0 {
			reference, ratio = short(r.Reference), fmt.Sprintf("%.2f", r.Ratio)
		}
		if !r.OK {
			mark = "BELOW"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Name, short(r.Value), r.Unit, reference, ratio, r.Bar, mark)
	}
	_ = tw.Flush() // to the screen
}

func short(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (t *table) write(path string) error {
	b, err := json.MarshalIndent(t.rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
