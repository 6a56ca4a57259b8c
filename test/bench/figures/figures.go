// Package figures is what a benchmark says: figures, each beside a reference of the same minutes and machine and beside
// the bar that it must reach; printed as a table, and written as JSON. `make bench` and `make bench-cluster` share it.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// Row is one figure. Reference is what ran beside it, in the same unit; 0 where there is none, which only a figure that is
// merely told can do with.
type Row struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Reference float64 `json:"reference"`
	Ratio     float64 `json:"ratio"`
	Bar       string  `json:"bar"`
	OK        bool    `json:"ok"`
}

// Table is what was measured, in that order.
type Table struct{ rows []Row }

// Bar is what a figure must reach.
type Bar struct {
	text string
	ok   func(r Row) bool
}

// AtLeast is a bar for what may not be less.
func AtLeast(v float64) Bar {
	return Bar{fmt.Sprintf(">= %g", v), func(r Row) bool { return r.Value >= v }}
}

// AtMost is a bar for what may not be more.
func AtMost(v float64) Bar {
	return Bar{fmt.Sprintf("<= %g", v), func(r Row) bool { return r.Value <= v }}
}

// Within is a bar for what may be off by so much.
func Within(want, off float64) Bar {
	return Bar{fmt.Sprintf("%g ± %g", want, off), func(r Row) bool { return r.Value >= want-off && r.Value <= want+off }}
}

// RatioAtLeast is a bar for the share of the reference.
func RatioAtLeast(v float64) Bar {
	return Bar{fmt.Sprintf("ratio >= %g", v), func(r Row) bool { return r.Ratio >= v }}
}

// RatioAtMost is a bar for what may be so many times the reference at most.
func RatioAtMost(v float64) Bar {
	return Bar{fmt.Sprintf("ratio <= %g", v), func(r Row) bool { return r.Ratio <= v }}
}

// None is for a figure that is only told.
func None() Bar { return Bar{"", func(Row) bool { return true }} }

// Add adds a figure; reference is 0 where there is none. One that has a bar and no reference does not reach it: it says
// nothing of a machine that nobody knows.
func (t *Table) Add(name string, value float64, unit string, reference float64, b Bar) {
	r := Row{Name: name, Value: value, Unit: unit, Reference: reference, Bar: b.text}
	if reference != 0 {
		r.Ratio = value / reference
	}
	r.OK = b.ok(r) && (reference > 0 || b.text == "")
	t.rows = append(t.rows, r)
}

// Good tells whether every figure reaches its bar.
func (t *Table) Good() bool {
	for _, r := range t.rows {
		if !r.OK {
			return false
		}
	}
	return true
}

// Print prints the table.
func (t *Table) Print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tVALUE\tUNIT\tREFERENCE\tRATIO\tBAR\t\t")
	for _, r := range t.rows {
		reference, ratio, mark := "", "", "ok"
		if r.Reference != 0 {
			reference, ratio = short(r.Reference), fmt.Sprintf("%.2f", r.Ratio)
		}
		switch {
		case r.OK:
		case r.Reference <= 0:
			mark = "NO REFERENCE"
		default:
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

// Write writes the figures as JSON.
func (t *Table) Write(path string) error {
	b, err := json.MarshalIndent(t.rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
