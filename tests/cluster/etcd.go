package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// Starts etcd behind a socket in its directory and gives the address that a client reaches it at. It keeps nothing that
// a power cut would have to leave whole, so it waits for no disk.
func startEtcd(ctx context.Context, files *files, end context.CancelCauseFunc) (string, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(files.etcd, "data")
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	config.LogOutputs = []string{filepath.Join(files.etcd, "log")}
	clients := url.URL{Scheme: "unix", Path: filepath.Join(files.etcd, "clients")}
	peers := url.URL{Scheme: "unix", Path: filepath.Join(files.etcd, "peers")}
	// What it advertises has to be a host and a port, and stays what it is by default: there are no others to go there.
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{clients}, []url.URL{peers}

	server, err := embed.StartEtcd(config)
	if err != nil {
		return "", fmt.Errorf("etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return "", fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	go func() { end(fmt.Errorf("etcd: %w", <-server.Err())) }()
	return clients.String(), nil
}
