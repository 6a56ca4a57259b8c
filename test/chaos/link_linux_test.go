package chaos

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// mode is what a link does to what it carries.
type mode string

const (
	whole mode = "whole" // it carries
	slow  mode = "slow"  // each piece of each connection comes later, so those of two connections change places
	mute  mode = "mute"  // requests arrive and are obeyed, answers and acknowledgements are lost
	deaf  mode = "deaf"  // requests are lost
	cut   mode = "cut"   // nobody is reached
	held  mode = "held"  // requests arrive when it holds them no longer, perhaps long after another did the same
	// Some removals of a key come much later, when who sent them has died: a death calls nothing back that is on its way.
	orphan mode = "orphan"
)

// link is the wire from one program to another.
type link struct {
	name, to string
	listener net.Listener
	bereave  func(sender net.Addr) // kills who is at that address

	mu    sync.Mutex
	mode  mode
	conns map[net.Conn]bool
}

// maxLag is of one piece on a slow link.
const maxLag = 150 * time.Millisecond

// One of so many removals is orphaned where that is asked for, and late by so much at most.
const (
	orphanOneOf = 2
	maxLate     = 3 * time.Second
)

// removal is what a request has that removes a key of a bucket.
var removal = []byte("KV-Operation: DEL")

func newLink(t *testing.T, name, at, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	k := &link{name: name, to: to, listener: l, mode: whole, bereave: func(net.Addr) {}, conns: make(map[net.Conn]bool)}
	go k.serve()
	t.Cleanup(func() {
		_ = l.Close()
		k.set(cut)
	})
	return k
}

func (k *link) serve() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		go k.carry(c)
	}
}

// set changes the mode. Bytes that were lost are missing for ever, so connections end when they are lost no more.
func (k *link) set(m mode) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was := k.mode; m == cut || was == mute || was == deaf {
		for c := range k.conns {
			_ = c.Close()
		}
	}
	k.mode = m
}

func (k *link) now() mode {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mode
}

func (k *link) carry(c net.Conn) {
	defer c.Close()
	if k.now() == cut {
		return
	}
	s, err := net.Dial("tcp", k.to)
	if err != nil {
		return
	}
	defer s.Close()
	k.hold(c, s, true)
	defer k.hold(c, s, false)
	var both sync.WaitGroup
	both.Go(func() { k.pump(s, c, deaf) })
	both.Go(func() { k.pump(c, s, mute) })
	both.Wait()
}

func (k *link) hold(c, s net.Conn, held bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if held {
		k.conns[c], k.conns[s] = true, true
		return
	}
	delete(k.conns, c)
	delete(k.conns, s)
}

// pump carries one direction until either end closes; lossy is the mode in which it carries nothing.
func (k *link) pump(to, from net.Conn, lossy mode) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		m := k.now()
		switch {
		case m == slow:
			<-time.After(rand.N(maxLag))
		case m == orphan && bytes.Contains(buf[:n], removal) && rand.N(orphanOneOf) == 0:
			k.bereave(from.RemoteAddr())
			<-time.After(rand.N(maxLate))
		case m == held && lossy == deaf:
			for ; m == held; m = k.now() { // a fault ends
				<-time.After(granularity)
			}
		}
		if n > 0 && m != lossy {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
