package sqslocal

import "maps"

type tagQueueInput struct {
	QueueURL string `json:"QueueUrl"`
	Tags     map[string]string
}

type untagQueueInput struct {
	QueueURL string `json:"QueueUrl"`
	TagKeys  []string
}

type listQueueTagsOutput struct {
	Tags map[string]string `json:",omitempty"`
}

// checkTags refuses what AWS refuses.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalidParameterValue.errorf("Too many tags for the queue: the limit is %d.", maxTags)
	}
	for key, value := range tags {
		if key == "" || len(key) > maxTagKey || len(value) > maxTagValue || !legalText(key) || !legalText(value) {
			return invalidParameterValue.errorf("Tag %q: a key has 1 to %d characters and a value at most %d.", clip(key), maxTagKey, maxTagValue)
		}
	}
	return nil
}

func tagQueue(c *call, in *tagQueueInput) (nothing, error) {
	return nothing{}, c.withQueue(in.QueueURL, func(t *tx, q *queue) error {
		if len(in.Tags) == 0 {
			return missing("Tags")
		}
		tags := maps.Clone(q.tags)
		maps.Copy(tags, in.Tags)
		if err := checkTags(tags); err != nil {
			return err
		}
		q.tags = tags
		return t.saveQueue(q)
	})
}

func untagQueue(c *call, in *untagQueueInput) (nothing, error) {
	return nothing{}, c.withQueue(in.QueueURL, func(t *tx, q *queue) error {
		if len(in.TagKeys) == 0 {
			return missing("TagKeys")
		}
		for _, key := range in.TagKeys {
			delete(q.tags, key)
		}
		return t.saveQueue(q)
	})
}

func listQueueTags(c *call, in *queueInput) (*listQueueTagsOutput, error) {
	out := &listQueueTagsOutput{}
	err := c.withQueue(in.QueueURL, func(_ *tx, q *queue) error {
		out.Tags = maps.Clone(q.tags)
		return nil
	})
	return out, err
}
