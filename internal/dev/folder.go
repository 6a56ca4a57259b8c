package dev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// folder is a data folder that this process alone uses.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes the folder where it is missing, and takes its lock. The lock goes with the process,
// however it ends; NATS itself would let two servers write the same files.
func openFolder(path string) (*folder, error) {
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
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another tallyman dev; stop that one, or choose another folder with --data", path)
		}
		return nil, fmt.Errorf("data folder %s: lock: %w", path, err)
	}
	return &folder{path, lock}, nil
}

// at is a file or folder inside.
func (f *folder) at(names ...string) string {
	return filepath.Join(append([]string{f.path}, names...)...)
}

// close lets another process have the folder.
func (f *folder) close() { _ = f.lock.Close() }
