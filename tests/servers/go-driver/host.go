package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-secure-stdlib/base62"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// host is a plugin process under the official client.
type host struct {
	client   *goplugin.Client
	protocol goplugin.ClientProtocol
	conn     grpc.ClientConnInterface
	pid      int
}

// start starts a plugin as Vault does.
func start(logger hclog.Logger, command []string, env ...string) (*host, error) {
	if len(command) == 0 {
		return nil, errors.New("no plugin given")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(env, "VAULT_VERSION=1.21.4", pluginutil.PluginMetadataModeEnv+"=false", pluginutil.PluginAutoMTLSEnv+"=true")
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig,
		VersionedPlugins: plugin.PluginSet,
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolNetRPC, goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           logger,
	})
	protocol, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, err
	}
	conn := protocol.(*goplugin.GRPCClient).Conn
	return &host{client, protocol, conn, client.ReattachConfig().Pid}, nil
}

// mount makes one more instance of the engine in the process.
func (h *host) mount(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	id, err := base62.Random(10)
	if err != nil {
		return nil, err
	}
	backend, err := plugin.Dispense(h.protocol, &instance{h.protocol, &namedConn{h.conn, id}})
	if err != nil {
		return nil, err
	}
	if err := backend.Setup(ctx, config); err != nil {
		return nil, fmt.Errorf("setup: %w", err)
	}
	return backend, nil
}

// instance is what Vault's catalog hands to the SDK: a connection on which every call names its instance.
type instance struct {
	goplugin.ClientProtocol
	conn grpc.ClientConnInterface
}

func (i *instance) Conn() grpc.ClientConnInterface { return i.conn }
func (i *instance) Reload() error                  { return nil }

// Close leaves the process to the host.
func (i *instance) Close() error { return nil }

type namedConn struct {
	grpc.ClientConnInterface
	id string
}

func (n *namedConn) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	ctx = metadata.AppendToOutgoingContext(ctx, pluginutil.MultiplexingCtxKey, n.id)
	return n.ClientConnInterface.Invoke(ctx, method, args, reply, options...)
}

// settings are those of a mount whose storage and system view are in this process.
func settings(storage logical.Storage, logger hclog.Logger) *logical.BackendConfig {
	return &logical.BackendConfig{
		StorageView: storage,
		Logger:      logger,
		System: &logical.StaticSystemView{
			DefaultLeaseTTLVal: 768 * time.Hour,
			MaxLeaseTTLVal:     768 * time.Hour,
			VersionString:      "1.21.4",
			// Without one the Go SDK ends the whole process when it is asked for help.
			PluginEnvironment: &logical.PluginEnvironment{VaultVersion: "1.21.4"},
		},
		BackendUUID: "5c1f6f6e-5bd6-4d0c-a5b4-6e5a4f2d2d2b",
		Config:      map[string]string{"plugin_name": "custom-plugin", "plugin_type": "secret"},
	}
}

func request(operation logical.Operation, path string, data map[string]any, storage logical.Storage) *logical.Request {
	return &logical.Request{
		ID:         "8d0a1f2e-6f1a-4f0e-9f0b-2f6f6e5c1f6f",
		Operation:  operation,
		Path:       path,
		Data:       data,
		Storage:    storage,
		MountPoint: "custom/",
	}
}

// accepted makes an error of an error response.
func accepted(response *logical.Response, err error) (*logical.Response, error) {
	if err == nil && response != nil && response.IsError() {
		err = response.Error()
	}
	return response, err
}
