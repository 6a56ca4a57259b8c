// Package webhook is events in, HTTP out: every event that a webhook of the configuration wants is posted to
// it, signed, at least once, and those of one job in their order. One leader delivers; how far each webhook has
// come is a record that is written by compare-and-set, so that whoever takes over goes on there.
//
//	options.go   what it is given, and the ports it calls
//	webhook.go   New, Run: one courier for each webhook, while it leads
//	courier.go   what a webhook wants is read, handed out, and noted when it has arrived
//	window.go    what is on its way, and how far all of it has come (pure)
//	delivery.go  one event: posted until it is taken, ever more seldom
//	door.go      which addresses are never called
//	record.go    the record of a webhook, and the orders to go on from another place
package webhook
