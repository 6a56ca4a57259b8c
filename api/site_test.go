package api

import "testing"

// Without a token a page of another site may not do what its reader could, nor read it under a name of its own.
func TestAnotherSitesPageIsKeptOut(t *testing.T) {
	t.Parallel()
	open := newWorld(t)
	own := open.url
	for name, c := range map[string]struct {
		method, path, host string
		headers            []header
		want               int
	}{
		"curl":                    {"POST", "/jobs", "", nil, 202},
		"by name":                 {"POST", "/jobs", "localhost:8080", nil, 202},
		"IPv6":                    {"GET", "/jobs/stats", "[::1]:8080", nil, 200},
		"our page":                {"POST", "/jobs", "", []header{{"Origin", own}, {"Sec-Fetch-Site", "same-origin"}}, 202},
		"our page, old browser":   {"POST", "/jobs", "", []header{{"Origin", own}}, 202},
		"another page":            {"POST", "/jobs", "", []header{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}}, 403},
		"another, old browser":    {"POST", "/queues/default/purge", "", []header{{"Origin", "https://evil.example"}}, 403},
		"another port of ours":    {"POST", "/audit", "", []header{{"Origin", "http://127.0.0.1:1"}, {"Sec-Fetch-Site", "same-site"}}, 403},
		"a page in a sandbox":     {"POST", "/jobs", "", []header{{"Origin", "null"}}, 403},
		"a link on another page":  {"GET", "/jobs", "", []header{{"Sec-Fetch-Site", "cross-site"}}, 200},
		"another name of ours":    {"GET", "/jobs/stats", "evil.example", nil, 403},
		"a name that looks ours":  {"POST", "/jobs", "localhost.evil.example:8080", nil, 403},
		"a name like an address":  {"POST", "/jobs", "127.0.0.1.evil.example", nil, 403},
		"a probe by another name": {"GET", "/healthz", "evil.example", nil, 200},
	} {
		if c.host != "" {
			c.headers = append(c.headers, header{"Host", c.host})
		}
		if got := open.do(c.method, c.path, "", c.headers...).status; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	closed := newWorld(t, func(o *Options) { o.TokenFile = tokenFile(t, "secret") })
	bearer := header{"Authorization", "Bearer secret"}
	if got := closed.do("POST", "/jobs", "", bearer, header{"Host", "jobs.example"}, header{"Origin", "https://console.example"}, header{"Sec-Fetch-Site", "cross-site"}).status; got != 202 {
		t.Errorf("with the token: %d", got)
	}
}
