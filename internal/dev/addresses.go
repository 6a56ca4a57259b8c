package dev

import (
	"encoding/json"
	"fmt"
	"os"
)

// Addresses is where everything listens; it is written to addresses.json in the data folder.
type Addresses struct {
	API    string            `json:"api"`
	SQS    string            `json:"sqs"`
	NATS   string            `json:"nats"`
	Admin  string            `json:"admin"`
	Queues map[string]string `json:"queues"` // URLs by name
}

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
