// Package e2e holds the tests that need a real Kubernetes. `make e2e` runs them inside one, all in the same; the file
// harness_test.go proves that what the others stand on is there.
package e2e
