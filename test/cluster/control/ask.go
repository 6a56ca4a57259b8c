package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Ask tells a part of the cluster behind the socket to stop, kill or start.
func Ask(ctx context.Context, socket, part, act string) error {
	_, err := ask(ctx, socket, http.MethodPost, "/parts/"+part+"/"+act)
	return err
}

// Parts lists the parts of the cluster behind the socket.
func Parts(ctx context.Context, socket string) ([]State, error) {
	b, err := ask(ctx, socket, http.MethodGet, "/parts")
	if err != nil {
		return nil, err
	}
	var all []State
	return all, json.Unmarshal(b, &all)
}

func ask(ctx context.Context, socket, method, path string) ([]byte, error) {
	if socket == "" {
		return nil, errors.New(SocketEnv + " is not set: this works inside a cluster, which `make cluster` gives")
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://cluster"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimSpace(string(b)))
	}
	return b, nil
}

// LinkTools makes a folder for PATH in which the tools and this very program are found by their usual names.
func (c *Control) LinkTools(tools Tools, self string) (string, error) {
	dir := filepath.Join(c.home, "bin")
	links := map[string]string{"cluster": self, "helm": tools["helm3"]}
	for name, path := range tools {
		links[name] = path
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}
