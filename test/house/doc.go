// Package house keeps the rules of the house by tests: who may import what, how long a function and a
// file may be, what the documents may name. Each failure says what to do.
package house
