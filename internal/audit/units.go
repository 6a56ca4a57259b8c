package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// silentAfter is how old a cluster's inventory may be before it says nothing any more.
const silentAfter = 5 * time.Minute

// readInventories reads what bridges told of Kubernetes Jobs.
func (l *look) readInventories(ctx context.Context) error {
	l.units = make(map[string]*contract.Inventory)
	return l.o.Records.Each(ctx, contract.InventoryKeys, func(e stream.Entry) error {
		var i contract.Inventory
		if err := json.Unmarshal(e.Value, &i); err != nil || i.V != contract.InventoryVersion {
			return nil // of another version's bridge: its units are not looked at
		}
		l.units[i.Cluster] = &i
		return nil
	})
}

// lookAtUnits suspects every open claim without a Kubernetes Job that runs, and every Kubernetes Job that no
// ScaledJob made.
func (l *look) lookAtUnits(context.Context) error {
	quiet := make(map[string]bool)
	for cluster, i := range l.units {
		if old := l.o.Clock.Now().Sub(i.At.Time); old > silentAfter {
			quiet[cluster] = true
			l.cannot("Kubernetes Jobs of cluster %s: its bridge told of them last %s ago; see whether one runs and leads", cluster, old.Round(time.Second))
		}
		for k := range i.Units {
			if i.Units[k].ByHand {
				l.suspect(subject{unit: i.Units[k].Unit})
			}
		}
	}
	for unit, c := range l.claims.open {
		switch {
		case l.units[c.cluster] == nil && !quiet[c.cluster]:
			quiet[c.cluster] = true
			l.cannot("Kubernetes Jobs of cluster %s: no bridge has told of them", c.cluster)
		case l.lost(unit, c.cluster, c.at):
			l.suspectJob(c.job)
		}
	}
	return nil
}

// lost tells whether a bridge that looked after the claim was written saw no Kubernetes Job of it that runs.
func (l *look) lost(unit, cluster string, at time.Time) bool {
	i := l.units[cluster]
	if i == nil || i.More > 0 || i.At.Time.Before(at) || l.o.Clock.Now().Sub(i.At.Time) > silentAfter {
		return false
	}
	u := i.Find(unit)
	return u == nil || u.Over
}

// judgeUnit judges a Kubernetes Job that no ScaledJob made.
func (l *look) judgeUnit(unit string) []suspicion {
	for cluster, i := range l.units {
		u := i.Find(unit)
		if u == nil || !u.ByHand {
			continue
		}
		has := "it has claimed nothing"
		if c, ok := l.claims.open[unit]; ok {
			has = "it holds job " + c.job
		} else if l.claims.all[unit] {
			has = "what it claimed has ended"
		}
		return []suspicion{{finding: contract.Finding{
			Kind: contract.UnitByHand, Unit: unit, Queue: u.Queue, Key: u.Namespace + "/" + u.Name,
			Says: fmt.Sprintf("Kubernetes Job %s/%s of cluster %s was made by hand, for no message that waits; %s", u.Namespace, u.Name, cluster, has),
			Do:   fmt.Sprintf("run: kubectl -n %s delete job %s; what it holds then ends as Deleted and can be requeued", u.Namespace, u.Name),
		}}}
	}
	return nil
}

func (l *look) clusters() (all []contract.AuditUnits) {
	for name, i := range l.units {
		n := i.More
		for k := range i.Units {
			if !i.Units[k].Over {
				n++
			}
		}
		all = append(all, contract.AuditUnits{Cluster: name, At: i.At, Units: n})
	}
	slices.SortFunc(all, func(a, b contract.AuditUnits) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return all
}
