package localkube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Kube is KEDA and Kubernetes on this machine.
type Kube struct {
	o        Options
	root     string              // Options.Dir without links, as /proc names it
	wakes    []chan struct{}     // of each queue
	verdicts map[string]*verdict // of each queue, by name
	silences map[string]*silence // of each queue, by name
	forker   forker
	mu       sync.Mutex
	units    map[string]*unit // by UID
	watchers map[*watcher]struct{}
	running  sync.WaitGroup // of units and of the loops that make them
}

// New makes a Kube and loads what an earlier one left, so that from here on a unit that is not to be seen
// does not exist. Nothing runs before Run.
func New(o Options) (*Kube, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	k := &Kube{
		o: o, forker: newForker(), units: make(map[string]*unit), watchers: make(map[*watcher]struct{}),
		silences: make(map[string]*silence), verdicts: make(map[string]*verdict),
	}
	for i := range o.Queues {
		k.wakes = append(k.wakes, make(chan struct{}, 1))
		k.verdicts[o.Queues[i].Name] = &verdict{}
		k.silences[o.Queues[i].Name] = &silence{}
	}
	if err := k.makeFolders(); err != nil {
		return nil, fmt.Errorf("localkube: make its data folder: %w", err)
	}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("localkube: load its units: %w", err)
	}
	return k, nil
}

func (k *Kube) makeFolders() error {
	if err := os.MkdirAll(k.o.Dir, 0o700); err != nil {
		return err
	}
	dir, err := filepath.Abs(k.o.Dir)
	if err != nil {
		return err
	}
	if k.root, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(k.unitsDir(), 0o700), os.MkdirAll(k.podsDir(), 0o700))
}

func (k *Kube) unitsDir() string { return filepath.Join(k.root, "units") }
func (k *Kube) podsDir() string  { return filepath.Join(k.root, "pods") }

// Run works until ctx ends: then every pod is stopped as on a node that shuts down, and goes on in the next
// Run as a new attempt that spends no retry. It may be called once.
func (k *Kube) Run(ctx context.Context) error {
	stopForker := k.forker.run()
	defer stopForker()
	if err := k.takeOver(); err != nil {
		return fmt.Errorf("localkube: stop what an earlier run left behind: %w", err)
	}
	for _, u := range k.all() {
		k.start(ctx, u)
	}
	for i := range k.o.Queues {
		if !k.o.Paused {
			k.running.Go(func() { k.scaleForEver(ctx, &k.o.Queues[i], k.wakes[i]) })
		}
	}
	<-ctx.Done()
	k.running.Wait()
	return nil
}

// Wake asks the queues at once, in the place of at the next poll.
func (k *Kube) Wake() {
	for _, wake := range k.wakes {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// start runs a unit that is not over.
func (k *Kube) start(ctx context.Context, u *unit) {
	if u.isOver() {
		return
	}
	k.running.Go(func() { u.run(ctx) })
}

func (k *Kube) all() []*unit {
	k.mu.Lock()
	defer k.mu.Unlock()
	units := make([]*unit, 0, len(k.units))
	for _, u := range k.units {
		units = append(units, u)
	}
	return units
}

func (k *Kube) unit(uid string) *unit {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.units[uid]
}

func (k *Kube) now() time.Time { return k.o.Clock.Now() }
