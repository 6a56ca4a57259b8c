package enclosure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchy is one mounted tree of control groups: all of them are one in version 2, one for each controller
// (or few) in version 1.
type hierarchy struct {
	Dir     string // where it is mounted
	Options string // how version 1 names it when it is mounted again; empty in version 2
}

// hierarchies reads what is mounted. A machine with version 1 may mount version 2 beside it, without controllers:
// that one is left alone.
func hierarchies(mountinfo string) []hierarchy {
	var v1, v2 []hierarchy
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(place) < 5 || len(kind) < 3 || !strings.HasPrefix(place[4], cgroupRoot) {
			continue
		}
		switch kind[0] {
		case "cgroup2":
			v2 = append(v2, hierarchy{Dir: place[4]})
		case "cgroup":
			v1 = append(v1, hierarchy{Dir: place[4], Options: controllers(kind[2])})
		}
	}
	if len(v1) > 0 {
		sort.Slice(v1, func(i, j int) bool { return v1[i].Dir < v1[j].Dir })
		return v1
	}
	return v2
}

// controllers leaves of a mount's super options what chooses the hierarchy.
func controllers(options string) string {
	var kept []string
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "rw", "ro", "xattr", "noprefix", "clone_children":
		default:
			if !strings.HasPrefix(o, "release_agent=") {
				kept = append(kept, o)
			}
		}
	}
	if len(kept) == 1 && strings.HasPrefix(kept[0], "name=") {
		kept = append([]string{"none"}, kept...)
	}
	return strings.Join(kept, ",")
}

func mounted() ([]hierarchy, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	all := hierarchies(string(b))
	if len(all) == 0 {
		return nil, errors.New("no control groups are mounted under " + cgroupRoot + ": a kubelet cannot run here")
	}
	return all, nil
}

// enter makes a group of this name in every hierarchy and moves this process into it. In version 2 a group that has
// children with controllers may hold no process itself, so the process goes into a leaf.
func enter(name string) error {
	all, err := mounted()
	if err != nil {
		return err
	}
	for _, h := range all {
		dir := filepath.Join(h.Dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("control group: %w: root and a writable %s are needed", err, cgroupRoot)
		}
		leaf := dir
		if h.Options == "" {
			leaf = filepath.Join(dir, "own")
			if err := os.Mkdir(leaf, 0o755); err != nil {
				return err
			}
		}
		if err := lendProcessors(h.Dir, dir); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("entering control group %s: %w", leaf, err)
		}
		if h.Options == "" {
			if err := enable(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// lendProcessors fills what a new group of version 1's cpuset has empty and takes no process without.
func lendProcessors(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		b, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && len(strings.TrimSpace(string(b))) > 0 {
			err = os.WriteFile(filepath.Join(dir, file), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("control group %s: %w", dir, err)
		}
	}
	return nil
}

// enable hands a version 2 group's controllers on to its children, as a kubelet needs them.
func enable(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(b)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644); err != nil {
			return fmt.Errorf("control group %s: enabling %s: %w", dir, c, err)
		}
	}
	for _, want := range []string{"cpu", "memory", "pids"} {
		if !strings.Contains(string(b), want) {
			return fmt.Errorf("control group %s has no controller %s: enable it in %s/cgroup.subtree_control", dir, want, cgroupRoot)
		}
	}
	return nil
}

// groupPrefix is followed by the process id of `outside` and the time when it started, so that a later run knows
// whose groups nobody owns any more.
const groupPrefix = "tallyman-cluster-"

func groupName(pid int) string {
	return groupPrefix + strconv.Itoa(pid) + "-" + startTime(pid)
}

// startTime is the 22nd field of /proc/PID/stat; empty where there is no such process.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses that may hold spaces.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// removeGroups takes a group and all below it away, in every hierarchy, once their processes have ended.
func removeGroups(name string, patience time.Duration) error {
	all, err := mounted()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		var left []error
		for _, h := range all {
			if err := removeTree(filepath.Join(h.Dir, name)); err != nil {
				left = append(left, err)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return errors.Join(left...)
		}
		<-pause.C
	}
}

// removeTree removes the deepest groups first: their files go with them, but no group with children goes.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		if e := os.Remove(dirs[i]); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}
	return err
}

// abandoned lists groups whose run has died together with its sweeper.
func abandoned() []string {
	all, err := mounted()
	if err != nil {
		return nil
	}
	found := make(map[string]bool)
	for _, h := range all {
		entries, _ := os.ReadDir(h.Dir)
		for _, e := range entries {
			id, ours := strings.CutPrefix(e.Name(), groupPrefix)
			pid, started, _ := strings.Cut(id, "-")
			n, err := strconv.Atoi(pid)
			if ours && err == nil && startTime(n) != started {
				found[e.Name()] = true
			}
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
