package webhook

import (
	"net/netip"
	"testing"
)

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"169.254.169.254": true, "169.254.170.23": true, "fe80::1": true, "fe80::1%eth0": true,
		"224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,
		"fd00:ec2::254": true, "fd00:ec2::23": true, "fd20:ce::254": true, "168.63.129.16": true, "100.100.100.200": true, "192.0.0.192": true,
		"::ffff:127.0.0.1": true, "::ffff:169.254.169.254": true, "64:ff9b::7f00:1": true, "64:ff9b::a9fe:a9fe": true,
		"2002:7f00:1::": true, "::127.0.0.1": true,
		"192.0.2.1": false, "10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "2001:db8::1": false, "fd12::1": false,
		"64:ff9b::c000:201": false, "100.64.0.1": false,
	} {
		if why := refused(netip.MustParseAddr(addr), nil); (why != "") != want {
			t.Errorf("%s: %q", addr, why)
		}
	}
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	for addr, want := range map[string]bool{"127.0.0.1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "fe80::1%eth0": false, "::1": true, "169.254.169.254": true} {
		if why := refused(netip.MustParseAddr(addr), allow); (why != "") != want {
			t.Errorf("allowed %s: %q", addr, why)
		}
	}
}
