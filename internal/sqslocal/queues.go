package sqslocal

import (
	"encoding/base64"
	"strings"
)

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURLOutput struct {
	QueueURL string `json:"QueueUrl"`
}

// queueInput is that of the operations that need only the queue.
type queueInput struct {
	QueueURL string `json:"QueueUrl"`
}

func createQueue(c *call, in *createQueueInput) (*queueURLOutput, error) {
	err := c.do(c.ctx, func(t *tx) error { return t.createQueue(in.QueueName, in.Attributes, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &queueURLOutput{c.address.url(c.host, in.QueueName)}, nil
}

type getQueueURLInput struct {
	QueueName              string
	QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId"`
}

func getQueueURL(c *call, in *getQueueURLInput) (*queueURLOutput, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	if owner := in.QueueOwnerAWSAccountID; owner != "" && owner != c.address.account {
		return nil, noSuchQueue()
	}
	err := c.do(c.ctx, func(t *tx) error {
		if t.queues[in.QueueName] == nil {
			return noSuchQueue()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &queueURLOutput{c.address.url(c.host, in.QueueName)}, nil
}

func deleteQueue(c *call, in *queueInput) (nothing, error) {
	return nothing{}, c.withQueue(in.QueueURL, func(t *tx, q *queue) error { return t.deleteQueue(q) })
}

func purgeQueue(c *call, in *queueInput) (nothing, error) {
	return nothing{}, c.withQueue(in.QueueURL, func(t *tx, q *queue) error { return t.purge(q) })
}

// withQueue runs work on the queue that the URL names.
func (c *call) withQueue(queueURL string, work func(*tx, *queue) error) error {
	return c.do(c.ctx, func(t *tx) error {
		q, err := t.open(queueURL)
		if err != nil {
			return err
		}
		return work(t, q)
	})
}

type getQueueAttributesInput struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}

type getQueueAttributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func getQueueAttributes(c *call, in *getQueueAttributesInput) (*getQueueAttributesOutput, error) {
	out := &getQueueAttributesOutput{}
	err := c.withQueue(in.QueueURL, func(t *tx, q *queue) (err error) {
		out.Attributes, err = t.readAttributes(q, in.AttributeNames)
		return err
	})
	return out, err
}

type setQueueAttributesInput struct {
	QueueURL   string `json:"QueueUrl"`
	Attributes map[string]string
}

func setQueueAttributes(c *call, in *setQueueAttributesInput) (nothing, error) {
	return nothing{}, c.withQueue(in.QueueURL, func(t *tx, q *queue) error { return t.setAttributes(q, in.Attributes) })
}

// paging is how the two listing operations are asked for a page.
type paging struct {
	MaxResults *int
	NextToken  string
}

// bounds reads where the page begins and how long it may be. AWS gives no
// token to those who asked for no MaxResults: they get the first thousand.
func (p paging) bounds() (after string, limit int, err error) {
	raw, err := base64.StdEncoding.DecodeString(p.NextToken)
	if err != nil {
		return "", 0, invalidParameterValue.errorf("Invalid or expired next token.")
	}
	if p.MaxResults == nil {
		return string(raw), maxListResults, nil
	}
	if *p.MaxResults < 1 || *p.MaxResults > maxListResults {
		return "", 0, invalidValue(*p.MaxResults, "MaxResults", "MaxResults must be an integer between 1 and 1000.")
	}
	return string(raw), *p.MaxResults, nil
}

// list is a page of queue URLs and the token of the next page.
func (c *call) list(p paging, keep func(*tx, *queue) bool) (urls []string, token string, err error) {
	after, limit, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	err = c.do(c.ctx, func(t *tx) error {
		names, next := t.page(func(q *queue) bool { return keep(t, q) }, after, limit)
		for _, name := range names {
			urls = append(urls, c.address.url(c.host, name))
		}
		if p.MaxResults != nil {
			token = base64.StdEncoding.EncodeToString([]byte(next))
		}
		return nil
	})
	return urls, token, err
}

type listQueuesInput struct {
	QueueNamePrefix string
	paging
}

type listQueuesOutput struct {
	QueueURLs []string `json:"QueueUrls,omitempty"`
	NextToken string   `json:",omitempty"`
}

func listQueues(c *call, in *listQueuesInput) (*listQueuesOutput, error) {
	urls, token, err := c.list(in.paging, func(_ *tx, q *queue) bool { return strings.HasPrefix(q.name, in.QueueNamePrefix) })
	return &listQueuesOutput{urls, token}, err
}

type listDeadLetterSourcesInput struct {
	QueueURL string `json:"QueueUrl"`
	paging
}

// listDeadLetterSourcesOutput spells its list as AWS does: with a small q, and always there.
type listDeadLetterSourcesOutput struct {
	QueueURLs []string `json:"queueUrls"`
	NextToken string   `json:",omitempty"`
}

func listDeadLetterSources(c *call, in *listDeadLetterSourcesInput) (*listDeadLetterSourcesOutput, error) {
	var target string
	err := c.withQueue(in.QueueURL, func(_ *tx, q *queue) error {
		target = q.name
		return nil
	})
	if err != nil {
		return nil, err
	}
	urls, token, err := c.list(in.paging, func(_ *tx, q *queue) bool { return q.redrive != nil && q.redrive.target == target })
	if urls == nil {
		urls = []string{}
	}
	return &listDeadLetterSourcesOutput{urls, token}, err
}
