package sqslocal

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an answer that AWS documents for a request. Its four parts are what
// the SDKs and the CLI read: the shape name (`__type`), the code of the older
// query protocol (header x-amzn-query-error), the HTTP status and the sentence.
type Error struct {
	kind    kind
	Message string
}

// kind is one row of AWS's error catalogue.
type kind struct {
	shape  string // shape name with its namespace, as in `__type`
	query  string // code in x-amzn-query-error
	status int
	fault  fault
}

// fault says whose mistake it was; a batch entry repeats it as SenderFault.
type fault string

const (
	senderFault   fault = "Sender"
	receiverFault fault = "Receiver"
)

const (
	sqsSpace   = "com.amazonaws.sqs#"
	coralSpace = "com.amazon.coral.service#"
	querySpace = "AWS.SimpleQueueService."
)

func sender(shape, query string) kind {
	return kind{shape, query, http.StatusBadRequest, senderFault}
}

// The catalogue. Statuses and codes are those that AWS was recorded to send;
// where no recording was found, those of the API reference.
var (
	queueDoesNotExist        = sender(sqsSpace+"QueueDoesNotExist", querySpace+"NonExistentQueue")
	queueNameExists          = sender(sqsSpace+"QueueNameExists", "QueueAlreadyExists")
	batchEntryIdsNotDistinct = sender(sqsSpace+"BatchEntryIdsNotDistinct", querySpace+"BatchEntryIdsNotDistinct")
	batchRequestTooLong      = sender(sqsSpace+"BatchRequestTooLong", querySpace+"BatchRequestTooLong")
	emptyBatchRequest        = sender(sqsSpace+"EmptyBatchRequest", querySpace+"EmptyBatchRequest")
	invalidBatchEntryID      = sender(sqsSpace+"InvalidBatchEntryId", querySpace+"InvalidBatchEntryId")
	tooManyEntries           = sender(sqsSpace+"TooManyEntriesInBatchRequest", querySpace+"TooManyEntriesInBatchRequest")
	invalidAttributeName     = sender(sqsSpace+"InvalidAttributeName", "InvalidAttributeName")
	invalidAttributeValue    = sender(sqsSpace+"InvalidAttributeValue", "InvalidAttributeValue")
	invalidMessageContents   = sender(sqsSpace+"InvalidMessageContents", "InvalidMessageContents")
	messageNotInflight       = sender(sqsSpace+"MessageNotInflight", querySpace+"MessageNotInflight")
	receiptHandleIsInvalid   = sender(sqsSpace+"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
	unsupportedOperation     = sender(sqsSpace+"UnsupportedOperation", querySpace+"UnsupportedOperation")
	invalidParameterValue    = sender(coralSpace+"InvalidParameterValueException", "InvalidParameterValue")
	missingParameter         = sender(coralSpace+"MissingRequiredParameterException", "MissingParameter")
	serialization            = sender(coralSpace+"SerializationException", "SerializationException")
	unknownOperation         = sender(coralSpace+"UnknownOperationException", "InvalidAction")

	purgeQueueInProgress = kind{sqsSpace + "PurgeQueueInProgress", querySpace + "PurgeQueueInProgress", http.StatusForbidden, senderFault}
	overLimit            = kind{sqsSpace + "OverLimit", "OverLimit", http.StatusForbidden, senderFault}
	requestThrottled     = kind{sqsSpace + "RequestThrottled", "RequestThrottled", http.StatusForbidden, senderFault}
	requestTooLarge      = kind{coralSpace + "RequestEntityTooLargeException", "RequestEntityTooLarge", http.StatusRequestEntityTooLarge, senderFault}
	internalFailure      = kind{coralSpace + "InternalFailure", "InternalFailure", http.StatusInternalServerError, receiverFault}
	serviceUnavailable   = kind{coralSpace + "ServiceUnavailable", "ServiceUnavailable", http.StatusServiceUnavailable, receiverFault}
)

// errorf makes an Error of the given kind.
func (k kind) errorf(format string, values ...any) *Error {
	return &Error{kind: k, Message: fmt.Sprintf(format, values...)}
}

// invalidValue is AWS's sentence for a parameter that is out of its range.
func invalidValue(value any, parameter, reason string) *Error {
	return invalidParameterValue.errorf("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

// missing is AWS's sentence for a parameter that has to be there.
func missing(parameter string) *Error {
	return missingParameter.errorf("The request must contain the parameter %s.", parameter)
}

func (e *Error) Error() string { return e.kind.query + ": " + e.Message }

// Code is the code that the SDKs report: that of the query protocol.
func (e *Error) Code() string { return e.kind.query }

// Status is the HTTP status of the answer.
func (e *Error) Status() int { return e.kind.status }

// refusalOf is the Error within err, or nil.
func refusalOf(err error) *Error {
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	return nil
}

// asError turns whatever an operation returned into an answer. What is not an
// Error is ours, not the caller's: its text stays in the log.
func asError(err error) *Error {
	if refusal := refusalOf(err); refusal != nil {
		return refusal
	}
	return internalFailure.errorf("The request could not be carried out; the server's log says why.")
}
