package sqslocal

import "time"

// AWS's limits, as the SQS developer guide states them.
const (
	maxMessageBytes   = 1 << 20 // one message, and all messages of a batch together
	maxBatchEntries   = 10
	maxEntryIDLength  = 80
	maxReceive        = 10
	maxInFlight       = 120_000
	maxWaitSeconds    = 20
	maxVisibility     = 12 * 60 * 60 // seconds
	maxDelaySeconds   = 900
	maxQueueName      = 80
	maxAttributes     = 10 // message attributes of one message
	maxAttributeName  = 256
	maxTags           = 50
	maxTagKey         = 128
	maxTagValue       = 256
	maxGroupID        = 128
	maxListResults    = 1000
	purgeInterval     = 60 * time.Second
	maxReceiveCeiling = 1000 // maxReceiveCount of a redrive policy
)

// Limits of our own, so that nothing from outside grows without end.
const (
	// A message of 1 MiB takes six times that in JSON when each of its
	// characters is written as \u00XX, and a little more for its frame.
	maxRequestBytes = 6*maxMessageBytes + 64<<10
	maxHeaderBytes  = 64 << 10
	maxQueues       = 10_000
	maxPolls        = 10_000 // long polls waiting at one time, over all queues

	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
	// The deadline of reading goes on while a long poll waits, because that is
	// how net/http hears of a client that goes away; so it is well above the
	// longest poll. An answer may be written after both.
	readTimeout  = time.Minute
	writeTimeout = readTimeout + maxWaitSeconds*time.Second
)
