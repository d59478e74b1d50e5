// Command go-openldap is a real secrets engine for the tests: HashiCorp's LDAP
// secrets engine behind the official SDK, served as a multiplexed external plugin.
// Unlike the published one it reports a version of its own, so that tests can
// tell two builds apart.
package main

import (
	"context"
	"os"

	"github.com/hashicorp/go-hclog"
	openldap "github.com/hashicorp/vault-plugin-secrets-openldap"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

// version is set by the linker; see the build script.
var version string

// versioned is a backend that reports version in place of its own.
type versioned struct {
	logical.Backend
}

// PluginVersion implements logical.PluginVersioner.
func (versioned) PluginVersion() logical.PluginVersion {
	return logical.PluginVersion{Version: version}
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	backend, err := openldap.Factory(ctx, config)
	if err != nil {
		return nil, err
	}
	return versioned{backend}, nil
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{JSONFormat: true})
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(os.Args[1:]); err != nil {
		logger.Error("cannot parse the arguments", "error", err)
		os.Exit(1)
	}
	err := plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
	if err != nil {
		logger.Error("plugin shutting down", "error", err)
		os.Exit(1)
	}
}
