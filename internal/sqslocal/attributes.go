package sqslocal

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// attributeRule says what a queue attribute may be set to and what it is until then.
type attributeRule struct {
	check    func(value string) bool
	fallback string // "" means that the attribute is not shown until it is set
}

// attributeRules are the attributes that a standard queue's owner may set.
var attributeRules = map[string]attributeRule{
	"DelaySeconds":                  {between(0, maxDelaySeconds), "0"},
	"MaximumMessageSize":            {between(1024, maxMessageBytes), strconv.Itoa(maxMessageBytes)},
	"MessageRetentionPeriod":        {between(60, 14*24*60*60), "345600"},
	"ReceiveMessageWaitTimeSeconds": {between(0, maxWaitSeconds), "0"},
	"VisibilityTimeout":             {between(0, maxVisibility), "30"},
	"RedrivePolicy":                 {anyValue, ""}, // checked by parseRedrive, which sees the other queues
	"RedriveAllowPolicy":            {jsonObject, ""},
	"Policy":                        {jsonObject, ""},
	"KmsMasterKeyId":                {anyValue, ""},
	"KmsDataKeyReusePeriodSeconds":  {between(60, 86400), ""},
	"SqsManagedSseEnabled":          {oneOf("true", "false"), "true"},
}

// clearable attributes are removed by an empty value.
var clearable = []string{"RedrivePolicy", "RedriveAllowPolicy", "Policy", "KmsMasterKeyId"}

func between(low, high int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		return err == nil && n >= low && n <= high
	}
}

func oneOf(values ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, value) }
}

func anyValue(string) bool { return true }

func jsonObject(value string) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal([]byte(value), &object) == nil
}

// checkAttributes returns what is to be stored of the attributes
// given for the queue named owner; an
// empty value there means that the attribute goes away.
func (t *tx) checkAttributes(owner string, given map[string]string) (map[string]string, error) {
	checked := maps.Clone(given)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		rule, known := attributeRules[name]
		switch {
		case !known:
			return nil, unknownAttribute(name)
		case value == "" && slices.Contains(clearable, name):
		case !rule.check(value):
			return nil, badAttribute(name)
		case name == "RedrivePolicy":
			policy, err := t.parseRedrive(owner, value)
			if err != nil {
				return nil, err
			}
			checked[name] = policy.String()
		}
	}
	return checked, nil
}

func unknownAttribute(name string) *Error {
	return invalidAttributeName.errorf("Unknown Attribute %s.", clip(name))
}

func badAttribute(name string) *Error {
	return invalidAttributeValue.errorf("Invalid value for the parameter %s.", name)
}

// setting is the value of an attribute, set or not.
func (q *queue) setting(name string) string {
	if value, ok := q.attributes[name]; ok {
		return value
	}
	if name == "SqsManagedSseEnabled" && q.attributes["KmsMasterKeyId"] != "" {
		return "false" // a key of one's own takes the place of SQS's
	}
	return attributeRules[name].fallback
}

// number is a numeric attribute; checkAttributes let only numbers in.
func (q *queue) number(name string) int {
	n, err := strconv.Atoi(q.setting(name))
	if err != nil {
		return 0
	}
	return n
}

// milliseconds is an attribute in seconds, in the unit of the store.
func (q *queue) milliseconds(name string) int64 {
	return (time.Duration(q.number(name)) * time.Second).Milliseconds()
}

// observed are the attributes that only the server sets.
var observed = map[string]func(*tx, *queue, counts) string{
	"ApproximateNumberOfMessages":           func(_ *tx, _ *queue, n counts) string { return strconv.FormatInt(n.visible, 10) },
	"ApproximateNumberOfMessagesNotVisible": func(_ *tx, _ *queue, n counts) string { return strconv.FormatInt(n.inFlight, 10) },
	"ApproximateNumberOfMessagesDelayed":    func(_ *tx, _ *queue, n counts) string { return strconv.FormatInt(n.delayed, 10) },
	"CreatedTimestamp":                      func(_ *tx, q *queue, _ counts) string { return strconv.FormatInt(q.created/1000, 10) },
	"LastModifiedTimestamp":                 func(_ *tx, q *queue, _ counts) string { return strconv.FormatInt(q.modified/1000, 10) },
	"QueueArn":                              func(t *tx, q *queue, _ counts) string { return t.address.arn(q.name) },
}

// fifoAttributes may be asked for and are never there on a standard queue.
var fifoAttributes = []string{"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}

// readAttributes returns the attributes asked for; All stands for each of them.
func (t *tx) readAttributes(q *queue, names []string) (map[string]string, error) {
	n, err := t.count(q)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, "All") {
		names = slices.Concat(slices.Collect(maps.Keys(observed)), slices.Collect(maps.Keys(attributeRules)))
	}
	values := map[string]string{}
	for _, name := range names {
		read, isObserved := observed[name]
		_, isSettable := attributeRules[name]
		switch {
		case isObserved:
			values[name] = read(t, q, n)
		case isSettable:
			if value := q.setting(name); value != "" {
				values[name] = value
			}
		case !slices.Contains(fifoAttributes, name):
			return nil, unknownAttribute(name)
		}
	}
	return values, nil
}
