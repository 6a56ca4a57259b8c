package contract

import (
	"errors"
	"fmt"
)

// Code says what is wrong, in one word that programs may branch on. The set is closed and shared with
// Rust; the first part of a vector's file name under testdata/ is the code that it must be refused with.
type Code string

// Codes of decoding.
const (
	CodeMalformed      Code = "malformed"       // not JSON, not UTF-8, or more than one value
	CodeNotObject      Code = "not_object"      // the first byte is not {
	CodeDuplicateKey   Code = "duplicate_key"   // one key twice, so two readers could read two things
	CodeMissingField   Code = "missing_field"   // a required field is absent
	CodeNullField      Code = "null_field"      // a known field is null; absent is how we say nothing
	CodeWrongType      Code = "wrong_type"      // a string where a number belongs, a fraction where an integer does
	CodeInvalidValue   Code = "invalid_value"   // the right type, outside what is allowed
	CodeUnknownVersion Code = "unknown_version" // of a future version; leave it for those who know it
	CodeTooLarge       Code = "too_large"       // over a limit of size or number
	CodeTooDeep        Code = "too_deep"        // nested deeper than MaxDepth
)

// Codes of requests, beside those of decoding.
const (
	CodeInvalidRequest Code = "invalid_request" // several faults; the list names each
	CodeUnknownQueue   Code = "unknown_queue"   // no queue of that name is configured
	CodeUnknownType    Code = "unknown_type"    // the queue has no such job type
	CodeInvalidPayload Code = "invalid_payload" // the type's JSON Schema refuses the payload
	CodeUnauthorized   Code = "unauthorized"    // the token is missing or wrong
	CodeForbidden      Code = "forbidden"       // a browser asks on behalf of another site, and no token is asked for
	CodeNotJSON        Code = "not_json"        // the body's Content-Type is not application/json
	CodeNotFound       Code = "not_found"       // no such job, schedule or path
	CodeNotAllowed     Code = "not_allowed"     // the path exists, the method does not
	CodeConflict       Code = "conflict"        // the state of the job forbids it
	CodeTimeout        Code = "timeout"         // it took longer than a request may
	CodeTooMany        Code = "too_many"        // slow down; Retry-After says how long
	CodeUnavailable    Code = "unavailable"     // NATS is away or its answer was lost; try again, a post with its Idempotency-Key
	CodeInternal       Code = "internal"        // a fault of ours; the log has it under the request id
)

// Error is a fault that a caller can mend: a code, the field that has it, and a sentence.
type Error struct {
	Code    Code   `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Code, e.Field, e.Message)
}

// Errorf makes an Error; field may be empty.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf gives the code of the first Error in err's chain, CodeInternal for any other error, and ""
// for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
