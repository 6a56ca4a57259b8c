package api

import (
	"bytes"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// A browser reaches whatever its user reaches, and asks there for any page that is open. A token keeps such a page out,
// for a browser adds none by itself. Without one these two rules do.

// foreign refuses a request that a browser makes on behalf of another site. What changes nothing may be asked: no page
// can read another site's answers, unless it has given its own name our address; and that the first rule is for.
func (s *Server) foreign(c *fiber.Ctx) error {
	if host := c.Context().Host(); s.loopback && !bytes.Equal(host, s.own) && !namesThisMachine(string(host)) {
		return contract.Errorf(contract.CodeForbidden, "Host", "this api serves this machine alone and asks for no token, so it answers to localhost, 127.0.0.1 and [::1], not to %q; use one of these, or start it with a token",
			contract.CutText(string(host), contract.MaxNameBytes))
	}
	switch c.Method() {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodOptions:
		return nil
	}
	switch c.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // our own page, behind whatever proxy, or the user's own hand
		return nil
	case "": // no browser, or an old one
		if origin := c.Get(fiber.HeaderOrigin); origin == "" || sameHost(origin, string(c.Context().Host())) {
			return nil
		}
	}
	return contract.Errorf(contract.CodeForbidden, fiber.HeaderOrigin, "a page of another site may change nothing here, since this api asks for no token; ask from no page, or start it with a token")
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// namesThisMachine tells whether a Host cannot be a name that somebody else has given our address. HTTP/1.0 has none.
func namesThisMachine(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
