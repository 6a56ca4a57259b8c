package localkube

import "testing"

// Only Linux tells where a process works, so only there can those be found who left their group.

// TestStragglers leaves a child of a child behind that has left its process group.
func TestStragglers(t *testing.T) {
	t.Parallel()
	work := `[ $attempt = 2 ] && exit 0; setsid sh -c 'echo $$ >"$FAKE/straggler"; exec sleep 1000' & echo $$ >"$FAKE/began"; exec sleep 1000`
	w := newWorld(t, nil, work)
	kill := w.parent()
	w.onDisk("began")
	pid := w.onDisk("straggler")
	kill()
	w.run()
	w.finished(1)
	w.dead(pid)
}

// TestStragglerOfAKilledAttempt has one attempt killed, while what it started lives in another group.
func TestStragglerOfAKilledAttempt(t *testing.T) {
	t.Parallel()
	work := `[ $attempt = 2 ] && exit 0; setsid sh -c 'echo $$ >"$FAKE/straggler"; exec sleep 1000' &
until [ -s "$FAKE/straggler" ]; do sleep 0.01; done; kill -9 $$`
	w := newWorld(t, nil, work).run()
	w.finished(1)
	w.dead(w.onDisk("straggler"))
}
