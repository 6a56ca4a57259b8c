// Package service is how a program of ours lives and dies: every main has the same signals, the same
// order of ending, the same admin page, the same flags that environment variables mirror, the same log.
//
//	run.go     parts that run together and end in reverse order within one deadline
//	signal.go  the first signal ends in order, the second at once
//	admin.go   /healthz and /readyz
//	fault.go   what is wrong is named once for each change
//	flags.go   every flag has an environment variable of the same name
//	log.go     JSON lines on standard error
//	config.go  queues and job types from a YAML file
package service
