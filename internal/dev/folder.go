package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// folder is a data folder that this process alone uses.
type folder struct {
	path string
	lock *os.File
}

// lockPatience is how long an earlier process may take to let go of the folder. The lock goes with the
// process, however it ends; but a child that it was just about to start has the lock too, for the moment
// between fork and exec, and outlives a kill -9 by that moment.
const lockPatience = 2 * time.Second

// openFolder makes the folder where it is missing, and takes its lock: NATS itself would let two servers
// write the same files.
func openFolder(ctx context.Context, path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := take(ctx, lock); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another tallyman dev; stop that one, or choose another folder with --data", path)
		}
		return nil, fmt.Errorf("data folder %s: lock: %w", path, err)
	}
	return &folder{path, lock}, nil
}

// take takes the lock of a file, and gives EWOULDBLOCK where somebody else keeps it.
func take(ctx context.Context, lock *os.File) error {
	deadline, tick := time.After(lockPatience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return err
		case <-tick.C:
		}
	}
}

// at is a file or folder inside.
func (f *folder) at(names ...string) string {
	return filepath.Join(append([]string{f.path}, names...)...)
}

// close lets another process have the folder.
func (f *folder) close() { _ = f.lock.Close() }
