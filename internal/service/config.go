package service

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"tallyman/contract"
)

// LoadConfig reads queues and job types from a YAML file, and names every fault in it.
func LoadConfig(path string) (contract.Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return contract.Config{}, fmt.Errorf("configuration: %w", err)
	}
	if len(b) > contract.MaxConfigBytes {
		return contract.Config{}, fmt.Errorf("configuration %s: %d bytes, at most %d are allowed", path, len(b), contract.MaxConfigBytes)
	}
	j, err := yaml.YAMLToJSONStrict(b)
	if err != nil {
		return contract.Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := asWritten(b); err != nil {
		return contract.Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	c, err := contract.DecodeConfig(j)
	if err != nil {
		return contract.Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
