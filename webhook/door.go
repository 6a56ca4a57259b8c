package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	idleTimeout = time.Minute
	maxHeaders  = 64 << 10
)

// metadata are the addresses at which clouds hand out rights and settings to whoever asks, beside those that are
// link-local.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: fd00:ec2::254 and, of EKS, fd00:ec2::23
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("0.0.0.0/8"),          // this host, by another name
	netip.MustParsePrefix("255.255.255.255/32"),
}

// carriers are IPv6 prefixes that carry an IPv4 address to somebody who unpacks it, and where it stands in them.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// refused tells why an address is not called; "" where it is.
func refused(addr netip.Addr, allow []netip.Prefix) string {
	addr = addr.Unmap().WithZone("")
	for _, p := range allow {
		if p.Contains(addr) {
			return ""
		}
	}
	switch {
	case addr.IsLoopback(), addr.IsUnspecified():
		return "a loopback address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.IsMulticast():
		return "a multicast address"
	}
	for _, p := range metadata {
		if p.Contains(addr) {
			return "a metadata address"
		}
	}
	for _, c := range carriers {
		if b := addr.AsSlice(); addr.Is6() && c.prefix.Contains(addr) {
			return refused(netip.AddrFrom4([4]byte(b[c.at:c.at+4])), allow)
		}
	}
	return ""
}

// guard looks at the address that is about to be dialled: what a name resolved to a moment before may be another.
func guard(allow []netip.Prefix) func(ctx context.Context, network, address string, c syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("address %q: %w", address, err)
		}
		if why := refused(to.Addr(), allow); why != "" {
			return fmt.Errorf("%s is %s, and not in the webhook's `allow`", to.Addr(), why)
		}
		return nil
	}
}

// newClient makes a client that goes through the door: past no proxy, which would dial in its place, and after no
// redirect.
func newClient(allow []netip.Prefix, timeout time.Duration, connections int) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: guard(allow)}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxConnsPerHost: connections,
			MaxIdleConnsPerHost: connections, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: dialTimeout,
			MaxResponseHeaderBytes: maxHeaders, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
