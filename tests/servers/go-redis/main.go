// Command go-redis is a real database plugin for the tests: HashiCorp's plugin
// for Redis behind the official SDK, in which several connections share a
// process, or with GO_REDIS_MULTIPLEXED=false one of the older kind. Unlike the
// published one it reports a version of its own, so that tests can tell two
// builds apart.
package main

import (
	"os"

	"github.com/hashicorp/go-hclog"
	redis "github.com/hashicorp/vault-plugin-database-redis"
	"github.com/hashicorp/vault/sdk/database/dbplugin/v5"
	"github.com/hashicorp/vault/sdk/logical"
)

// version is set by the linker; see the build script.
var version string

// versioned is a database that reports version.
type versioned struct {
	dbplugin.Database
}

// PluginVersion implements logical.PluginVersioner.
func (versioned) PluginVersion() logical.PluginVersion {
	return logical.PluginVersion{Version: version}
}

func factory() (interface{}, error) {
	database, err := redis.New()
	if err != nil {
		return nil, err
	}
	return versioned{database.(dbplugin.Database)}, nil
}

func main() {
	if os.Getenv("GO_REDIS_MULTIPLEXED") != "false" {
		dbplugin.ServeMultiplex(factory)
		return
	}
	database, err := factory()
	if err != nil {
		hclog.New(&hclog.LoggerOptions{}).Error("cannot create the database", "error", err)
		os.Exit(1)
	}
	dbplugin.Serve(database.(dbplugin.Database))
}
