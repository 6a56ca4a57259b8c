package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Addresses is where everything listens; it is in addresses.json of the data folder while everything does.
type Addresses struct {
	API    string            `json:"api"`
	SQS    string            `json:"sqs"`
	NATS   string            `json:"nats"`
	Admin  string            `json:"admin"`
	Queues map[string]string `json:"queues"` // URLs by name
}

const addressFile = "addresses.json"

// write replaces the file in one step, so that a reader never sees half of it.
func (a *Addresses) write(path string) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	return nil
}

// forgetAddresses takes the file away: what a life that was killed has left names ports that may be somebody else's now.
func forgetAddresses(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("addresses: %w", err)
	}
	return nil
}
