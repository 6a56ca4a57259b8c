// Package feed gives the log of events to everybody in one process who follows it: one ordered consumer fills a
// ring of the newest events, and whoever is behind the ring reads the log in pages until he is within it. Nobody
// has a queue here, only a place, so a slow follower costs nothing but the page that he reads, and there is one
// number of bytes for all of those.
//
//	feed.go    the ring, and the one consumer that fills it
//	past.go    pages of the log, and what all who read them may keep
//	reader.go  a follower's place: from the log or from the ring, with no gap between them and nothing twice
//	filter.go  what a follower wants to see
package feed
