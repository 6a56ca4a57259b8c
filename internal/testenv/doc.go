// Package testenv builds worlds for tests: real servers, in this process or beside it, that end with the
// test. Nothing that is shipped imports it; a test keeps that.
package testenv
