package enclosure

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// makeNetwork makes a node's network that ends here: a device that nothing is plugged into carries the node's address
// and the default route, since a kubelet and kube-proxy look for one.
func makeNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "node0"
	var link netlink.Link = &netlink.Dummy{LinkAttrs: attrs}
	if err := netlink.LinkAdd(link); err != nil {
		// Some kernels have no dummy device; a bridge without ports is the same to us.
		link = &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("the node's network device: %w: the kernel needs dummy or bridge devices", err)
		}
	}
	address := &net.IPNet{IP: net.ParseIP(NodeIP).To4(), Mask: net.CIDRMask(24, 32)}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: address}); err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	everywhere := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: everywhere}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	// Of this network namespace alone.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("ip_forward: %w", err)
	}
	return nil
}
