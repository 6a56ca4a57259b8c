package sqslocal

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// redrive says where a message goes that was received too often.
type redrive struct {
	target      string // name of the dead-letter queue
	targetARN   string
	maxReceives int
}

// String is the policy as GetQueueAttributes shows it.
func (r redrive) String() string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, r.targetARN, r.maxReceives)
}

// parseRedrive reads the RedrivePolicy of the queue named owner; its dead-letter queue has to exist.
func (t *tx) parseRedrive(owner, value string) (redrive, error) {
	policy, err := decodeRedrive(t.address, value)
	if err != nil {
		return redrive{}, err
	}
	if policy.target == owner {
		return redrive{}, invalidValue(clip(value), "RedrivePolicy", "A queue cannot be its own dead-letter queue.")
	}
	if t.queues[policy.target] == nil {
		return redrive{}, invalidValue(clip(value), "RedrivePolicy", "Dead letter target does not exist.")
	}
	return policy, nil
}

// decodeRedrive reads a policy by itself. AWS takes the count as a number or
// as a string that holds one.
func decodeRedrive(a address, value string) (redrive, error) {
	refuse := func(reason string) (redrive, error) {
		return redrive{}, invalidValue(clip(value), "RedrivePolicy", reason)
	}
	var policy struct {
		Target string          `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(value), &policy); err != nil {
		return refuse("Redrive policy is not a valid JSON map.")
	}
	if policy.Target == "" || len(policy.Max) == 0 {
		return refuse("Redrive policy must contain deadLetterTargetArn and maxReceiveCount.")
	}
	most, err := strconv.Atoi(strings.Trim(string(policy.Max), `"`))
	if err != nil || most < 1 || most > maxReceiveCeiling {
		return refuse(fmt.Sprintf("Invalid value for maxReceiveCount: must be between 1 and %d.", maxReceiveCeiling))
	}
	target, ok := a.nameOfARN(policy.Target)
	if !ok {
		return refuse(fmt.Sprintf("Invalid value for deadLetterTargetArn: queues of this server begin with %s.", a.arnPrefix()))
	}
	return redrive{target: target, targetARN: policy.Target, maxReceives: most}, nil
}
