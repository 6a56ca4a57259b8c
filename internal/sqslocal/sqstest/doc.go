// Package sqstest holds any server of the SQS protocol to what AWS documents of
// standard queues. The same checks run against sqslocal and against servers
// that others wrote, so that they test AWS's words and not our own code.
//
// Each check takes a queue of its own and time as it comes: where something has
// to become visible, it waits by a long poll, never by sleeping.
package sqstest
