// Package chart proves what charts/tallyman says, without a cluster: it renders with both Helms and holds the
// result to Kubernetes' and KEDA's own types, to Pod Security, to contract/names.go, and to a real NATS.
//
//	render_test.go       Helm 3 and Helm 4, and what they render, decoded strictly
//	golden_test.go       six sets of values, every object of each
//	conform_test.go      every object against the schemas of Kubernetes and of KEDA
//	refusals_test.go     values that cannot be meant, each named
//	cluster_test.go      what a cluster changes: KEDA missing or old, the seed kept; against a stand-in for its API
//	scaledjob_test.go    the ScaledJob, field by field
//	config_test.go       the configuration is contract.Config, and the programs' flags are what is set
//	security_test.go     Pod Security, limits, tokens, secrets, roles, networks
//	kuberights_test.go   the Roles against test/rights, by which test/cluster/e2e asks a real API server
//	rights_test.go       the NATS users against contract/names.go, and against a real server
//	docs_test.go         what docs/ says of it
//	unittest_test.go     the suites beside the chart, for those who have only Helm
//	pipeline_test.go     the real programs as the chart starts them, from a post to its end
package chart
