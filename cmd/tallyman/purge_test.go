package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A purge that comes while the books are behind asks again, and one that may not purge does not.
func TestPurgeAsksAgain(t *testing.T) {
	t.Parallel()
	for status, asked := range map[int]int{http.StatusServiceUnavailable: 2, http.StatusTooManyRequests: 2, http.StatusUnauthorized: 1} {
		n := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 {
				w.WriteHeader(status)
				fmt.Fprint(w, `{"detail":"not now"}`)
				return
			}
			fmt.Fprint(w, `{"queue":"q","cancelled":3,"remaining":0}`)
		}))
		t.Cleanup(server.Close)
		var said bytes.Buffer
		total, err := purgeAll(t.Context(), &client{base: server.URL, http: server.Client(), timeout: askTimeout}, "/queues/q/purge", &said)
		again := asked == 2
		if n != asked || (err == nil) != again || again && total.Cancelled != 3 || strings.Contains(said.String(), "not now; asking again") != again {
			t.Errorf("%d: asked %d times: %+v, %v, %q", status, n, total, err, said.String())
		}
	}
}
