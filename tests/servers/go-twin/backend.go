package main

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// rollbackMinAge: a younger write-ahead entry may belong to a request that is still at work.
const rollbackMinAge = 180 * time.Second

// backend is one mount of the token engine.
type backend struct {
	*framework.Backend
	// run is what its leases name as their issuer.
	run string

	mutex     sync.RWMutex
	connected *connected
}

// connected is the client that was made for a configuration.
type connected struct {
	config   config
	upstream *upstream
}

func factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{run: uuid.NewString()}
	b.Backend = &framework.Backend{
		BackendType:       logical.TypeLogical,
		Help:              engineHelp,
		RunningVersion:    version,
		PathsSpecial:      &logical.Paths{SealWrapStorage: []string{configKey, framework.WALPrefix}},
		Paths:             []*framework.Path{b.pathConfig(), b.pathListConfig(), b.pathListRoles(), b.pathRoles(), b.pathCreds()},
		Secrets:           []*framework.Secret{b.secretToken()},
		WALRollback:       b.rollBack,
		WALRollbackMinAge: rollbackMinAge,
		Invalidate: func(_ context.Context, key string) {
			if key == configKey {
				b.disconnect()
			}
		},
		Clean: func(context.Context) { b.disconnect() },
	}
	return b, b.Setup(ctx, conf)
}

// upstreamFor returns the client for a configuration, shared by all requests that read the same one.
func (b *backend) upstreamFor(c *config) (*upstream, error) {
	b.mutex.RLock()
	known := b.connected
	b.mutex.RUnlock()
	if known != nil && reflect.DeepEqual(known.config, *c) {
		return known.upstream, nil
	}

	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.connected != nil && reflect.DeepEqual(b.connected.config, *c) {
		return b.connected.upstream, nil
	}
	made, err := newUpstream(c)
	if err != nil {
		return nil, err
	}
	if b.connected != nil {
		b.connected.upstream.http.CloseIdleConnections()
	}
	b.connected = &connected{config: *c, upstream: made}
	return made, nil
}

func (b *backend) disconnect() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.connected != nil {
		b.connected.upstream.http.CloseIdleConnections()
		b.connected = nil
	}
}

// apply sets a field to what a request says of it. A null in a patch takes it back to what it is unset.
func apply[T any](req *logical.Request, data *framework.FieldData, name string, field *T, unset T) {
	if cleared(req, data, name) {
		*field = unset
	} else if value, given := data.GetOk(name); given {
		*field = value.(T)
	}
}

func cleared(req *logical.Request, data *framework.FieldData, name string) bool {
	raw, given := data.Raw[name]
	return given && raw == nil && req.Operation == logical.PatchOperation
}

const engineHelp = `Leases tokens of an HTTP token service. Write the service's address and key to config, permissions to ` +
	`roles/NAME, and read a token from creds/NAME; it is revoked at the service when its lease ends.`
