package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tallyman/contract"
	"tallyman/internal/service"
)

const (
	// silentAfter is how old a checkup may be.
	silentAfter = 60 * time.Second
	// OneProcess is the component that is all of them.
	OneProcess = "dev"
)

// components are those without which no job runs, and what to do where one is silent.
var components = []string{"api", "scheduler", "bridge", "aggregator"}

// Diagnose puts together what processes told, as of now. It is pure.
func Diagnose(all []contract.Checkup, now time.Time) contract.Diagnosis {
	d := contract.Diagnosis{At: contract.At(now), OK: true, Lines: []contract.CheckLine{}}
	fresh := slices.DeleteFunc(slices.Clone(all), func(c contract.Checkup) bool { return now.Sub(c.At.Time) > silentAfter })
	slices.SortFunc(fresh, func(a, b contract.Checkup) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Instance, b.Instance))
	})
	for i := range fresh {
		for _, l := range fresh[i].Lines {
			l.Component, l.Instance = fresh[i].Component, fresh[i].Instance
			d.Lines = append(d.Lines, l)
		}
	}
	if !slices.ContainsFunc(fresh, func(c contract.Checkup) bool { return c.Component == OneProcess }) {
		for _, name := range components {
			if !slices.ContainsFunc(fresh, func(c contract.Checkup) bool { return c.Component == name }) {
				d.Lines = append(d.Lines, contract.CheckLine{Component: name, Name: "running", Says: silence(name, all, now)})
			}
		}
	}
	if len(fresh) > 0 {
		d.Lines = append(d.Lines, versions(fresh))
	}
	for i := range d.Lines {
		d.OK = d.OK && d.Lines[i].OK
	}
	return d
}

// silence says since when nothing was heard of a component.
func silence(name string, all []contract.Checkup, now time.Time) string {
	const do = "see whether its pods run and are ready: their /readyz says in one line what they wait for"
	var last time.Time
	for i := range all {
		if all[i].Component == name && all[i].At.After(last) {
			last = all[i].At.Time
		}
	}
	if last.IsZero() {
		return "no " + name + " has told how it is; " + do
	}
	return fmt.Sprintf("no %s has told how it is for %s; %s", name, now.Sub(last).Round(time.Second), do)
}

// versions tells whether all are of one release, and all processes of one component of one build: an edited api beside
// the others as they were is in order, and two different apis are not. A roll-out mixes them for a while, which works.
func versions(fresh []contract.Checkup) contract.CheckLine {
	releases, builds := make(map[string][]string), make(map[string][]string)
	for i := range fresh {
		c := &fresh[i]
		release, machine, program := service.SplitVersion(c.Version)
		put(releases, release, c.Component)
		// Machines of two kinds have two builds of one source.
		put(builds, strings.TrimSpace(c.Component+" "+machine), program)
	}
	const wait = "; wait for the roll-out to end (kubectl rollout status), or see why pods of the old one stay"
	names := slices.Sorted(maps.Keys(releases))
	l := contract.CheckLine{Component: "all", Name: "version", OK: true, Says: names[0]}
	if len(names) > 1 {
		l.OK, l.Says = false, "components are of different releases:"
		for _, name := range names {
			l.Says += " " + strings.Join(releases[name], ", ") + " " + name + ";"
		}
		l.Says = strings.TrimSuffix(l.Says, ";") + wait + ", or give all of them one image tag"
		return l
	}
	for _, which := range slices.Sorted(maps.Keys(builds)) {
		programs := builds[which]
		if len(programs) > 1 {
			l.OK, l.Says = false, fmt.Sprintf("%s runs in different builds of %s: %s", which, names[0], strings.Join(programs, ", "))+wait
			return l
		}
		l.Says += ", " + strings.TrimSpace(which+" "+programs[0])
	}
	return l
}

// put adds a value to those of a key, in order and once.
func put(to map[string][]string, key, value string) {
	if at, found := slices.BinarySearch(to[key], value); !found {
		to[key] = slices.Insert(to[key], at, value)
	}
}
