package sqslocal

import (
	"net/url"
	"regexp"
	"strings"
)

// address knows how queues are named from outside: by URL and by ARN.
type address struct {
	region, account string
}

var queueNameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkQueueName refuses what AWS refuses, and FIFO queues, which are not here yet.
func checkQueueName(name string) error {
	switch {
	case name == "":
		return missing("QueueName")
	case strings.HasSuffix(name, ".fifo"):
		return unsupportedOperation.errorf("FIFO queues are not supported by this local server yet; name the queue without .fifo.")
	case !queueNameForm.MatchString(name):
		return invalidParameterValue.errorf("Can only include alphanumeric characters, hyphens, or underscores. 1 to %d in length", maxQueueName)
	}
	return nil
}

// url is the address of a queue for a client that reached us as host.
func (a address) url(host, name string) string {
	return "http://" + host + "/" + a.account + "/" + name
}

// arn is the queue's Amazon Resource Name.
func (a address) arn(name string) string { return a.arnPrefix() + name }

func (a address) arnPrefix() string {
	return "arn:aws:sqs:" + a.region + ":" + a.account + ":"
}

// nameOfARN is the queue that an ARN of this region and account names.
func (a address) nameOfARN(arn string) (string, bool) {
	name, ok := strings.CutPrefix(arn, a.arnPrefix())
	return name, ok && queueNameForm.MatchString(name)
}

// nameOfURL reads the queue's name out of a QueueUrl. The host is not looked
// at: a client inside a container reaches the same queue under another name. A
// bare queue name is accepted too, as AWS and KEDA do.
func (a address) nameOfURL(queueURL string) (string, error) {
	if queueURL == "" {
		return "", missing("QueueUrl")
	}
	parsed, err := url.Parse(queueURL)
	if err != nil {
		return "", noSuchQueue()
	}
	account, name, found := strings.Cut(strings.Trim(parsed.Path, "/"), "/")
	if !found {
		return account, nil
	}
	if account != a.account {
		return "", queueDoesNotExist.errorf("The specified queue does not exist: this local server's account is %s, not %s.", a.account, account)
	}
	return name, nil
}

func noSuchQueue() *Error {
	return queueDoesNotExist.errorf("The specified queue does not exist.")
}
