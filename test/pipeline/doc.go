// Package pipeline proves what crosses the folders: the whole pipeline with the real processor, in this
// process or as the program that people run, under load, under faults and under kill -9.
package pipeline
