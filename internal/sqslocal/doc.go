// Package sqslocal is Amazon SQS on one machine: the JSON 1.0 protocol over
// HTTP, on one SQLite file, close enough to the real service that the AWS CLI,
// the SDKs for Go and Rust and KEDA's scaler cannot tell.
package sqslocal
