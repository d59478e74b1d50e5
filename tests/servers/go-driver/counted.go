package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// counted is a host that counts what a plugin asks it while it answers a request.
type counted struct {
	logical.StaticSystemView
	logical.InmemStorage
	calls atomic.Int64
}

func (c *counted) MaxLeaseTTL() time.Duration {
	c.calls.Add(1)
	return c.StaticSystemView.MaxLeaseTTL()
}

func (c *counted) DefaultLeaseTTL() time.Duration {
	c.calls.Add(1)
	return c.StaticSystemView.DefaultLeaseTTL()
}

func (c *counted) ReplicationState() consts.ReplicationState {
	c.calls.Add(1)
	return c.StaticSystemView.ReplicationState()
}

func (c *counted) LocalMount() bool {
	c.calls.Add(1)
	return c.StaticSystemView.LocalMount()
}

func (c *counted) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	c.calls.Add(1)
	return c.InmemStorage.Get(ctx, key)
}

func (c *counted) Put(ctx context.Context, entry *logical.StorageEntry) error {
	c.calls.Add(1)
	return c.InmemStorage.Put(ctx, entry)
}

func (c *counted) Delete(ctx context.Context, key string) error {
	c.calls.Add(1)
	return c.InmemStorage.Delete(ctx, key)
}

func (c *counted) List(ctx context.Context, prefix string) ([]string, error) {
	c.calls.Add(1)
	return c.InmemStorage.List(ctx, prefix)
}
