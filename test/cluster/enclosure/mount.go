package enclosure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelSettings are what a kubelet writes, for the whole machine, where it finds another value. It finds these, in
// files of ours, and writes nothing.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// makeMounts gives the inside its own /proc, /sys and control groups, and puts memory over every folder that the
// parts of a cluster write to by a fixed name. keep are folders that stay the machine's own.
func makeMounts(keep []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making / private: %w", err)
	}
	// Shared again, among the mount namespaces of the pods alone: a kubelet asks for that.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing /: %w", err)
	}
	groups, err := mounted()
	if err != nil {
		return err
	}
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("/etc/resolv.conf is needed, to be hidden: %w", err)
	}
	kept, err := hold(keep)
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return mount("proc", "/proc", "proc", "") },
		func() error { return mount("tmpfs", "/run", "tmpfs", "mode=755") },
		func() error { return os.MkdirAll(Home, 0o755) },
		func() error { return mount("tmpfs", "/var/log", "tmpfs", "mode=755") },
		func() error { return overlay("/var/lib") },
		func() error { return mount("sysfs", "/sys", "sysfs", "") },
		func() error { return mountGroups(groups) },
		// A file system of their own: cAdvisor would take one of these files for the place where /run is mounted.
		func() error { return mountAt("tmpfs", covers, "tmpfs", "mode=755,size=1m") },
		hideKernelSettings,
		func() error { return hideResolver(resolver) },
		func() error { return restore(kept) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// covers is where the files are that lie over the machine's.
var covers = filepath.Join(Home, "covers")

func mountAt(source, target, kind, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return mount(source, target, kind, options)
}

func mount(source, target, kind, options string) error {
	if err := unix.Mount(source, target, kind, 0, options); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", kind, target, err)
	}
	return nil
}

// overlay lets everything be read in a folder and keeps in memory what is written to it.
func overlay(dir string) error {
	base := filepath.Join(Home, "overlay", strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-"))
	upper, work := filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return mount("overlay", dir, "overlay", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
}

// mountGroups shows the control groups again under the new /sys: what is their root inside is our own group.
func mountGroups(groups []hierarchy) error {
	if len(groups) == 1 && groups[0].Options == "" {
		return mount("cgroup2", cgroupRoot, "cgroup2", "")
	}
	if err := mount("tmpfs", cgroupRoot, "tmpfs", "mode=755"); err != nil {
		return err
	}
	for _, g := range groups {
		if err := os.MkdirAll(g.Dir, 0o755); err != nil {
			return err
		}
		if err := mount("cgroup", g.Dir, "cgroup", g.Options); err != nil {
			return err
		}
	}
	return nil
}

func hideKernelSettings() error {
	for name, value := range kernelSettings {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := cover(target, filepath.Join("sysctl", name), value+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// hideResolver makes the cluster's DNS the only one there is, for programs inside too.
func hideResolver(path string) error {
	if !strings.HasPrefix(path, "/run/") {
		return cover(path, "resolv.conf", resolvConf)
	}
	// It pointed into a folder that is hidden already.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(resolvConf), 0o644)
}

// As a pod of no particular namespace has it, so that KEDA, a process of the node here, knows `name.namespace.svc` too.
const resolvConf = "nameserver " + NodeIP + "\nsearch svc.cluster.local cluster.local\noptions ndots:5 attempts:2 timeout:2\n"

// cover puts a file of ours over one of the machine's.
func cover(target, name, content string) error {
	file := filepath.Join(covers, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("covering %s: %w", target, err)
	}
	return nil
}

// hidden are the folders that makeMounts covers.
var hidden = []string{"/run/", "/var/run/", "/var/lib/", "/var/log/"}

type held struct {
	path string
	fd   int
}

// hold opens the kept folders that are about to be covered (a checkout below /var/lib, say), so that they can be
// found afterwards.
func hold(keep []string) ([]held, error) {
	var all []held
	for _, path := range keep {
		for _, h := range hidden {
			if !strings.HasPrefix(path+"/", h) {
				continue
			}
			fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
			if err != nil {
				return nil, fmt.Errorf("keeping %s: %w", path, err)
			}
			all = append(all, held{path, fd})
			break
		}
	}
	return all, nil
}

func restore(all []held) error {
	for _, h := range all {
		if err := os.MkdirAll(h.path, 0o755); err != nil {
			return err
		}
		if err := unix.MoveMount(h.fd, "", unix.AT_FDCWD, h.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("keeping %s: %w", h.path, err)
		}
		if err := unix.Close(h.fd); err != nil {
			return err
		}
	}
	return nil
}
