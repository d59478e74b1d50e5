package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// walMint is the kind of the write-ahead entries that precede a mint.
const walMint = "mint"

// intent is a write-ahead entry: all that is needed to ask for the same token again.
type intent struct {
	APIEndpoint string `json:"api_endpoint"`
	Order       order  `json:"order"`
}

func (b *backend) pathCreds() *framework.Path {
	return &framework.Path{
		Pattern: "creds/(?P<name>.+)",
		Fields: map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString, Required: true, Description: "Name of the role."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: b.readCreds, Summary: "Mint a token."},
		},
		HelpSynopsis: "Read a token of a role.",
		HelpDescription: "Each read mints a token with the permissions of the role, under a renewable lease. It is revoked at the " +
			"token service when the lease is revoked or ends.",
	}
}

func (b *backend) readCreds(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name, refused := nameOf(data)
	if refused != nil {
		return refused, nil
	}
	// Before anything happens outside of Vault: a token made on a standby could not be leased.
	if !b.WriteSafeReplicationState() {
		return nil, logical.ErrReadOnly
	}
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return logical.ErrorResponse("the token service is not configured; write it first: vault write %sconfig api_endpoint=… api_key=…",
			req.MountPoint), nil
	}
	r, err := storedRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return logical.ErrorResponse("there is no role %q; write it first, or list those that exist: vault list %sroles",
			name, req.MountPoint), nil
	}
	terms := r.terms(b.System().MaxLeaseTTL())
	upstream, err := b.upstreamFor(c)
	if err != nil {
		return nil, err
	}

	// A token that the service does not renew has to outlive every renewal of its lease.
	upstreamTTL := terms.maxTTL
	if c.RenewUpstream {
		upstreamTTL = terms.ttl
	}
	announced := intent{APIEndpoint: c.APIEndpoint, Order: order{
		Name:           fmt.Sprintf("vault-%s-%s", name, uuid.NewString()),
		Permissions:    r.Permissions,
		TTL:            int64(upstreamTTL / time.Second),
		IdempotencyKey: uuid.NewString(),
	}}
	entry, err := framework.PutWAL(ctx, req.Storage, walMint, announced)
	if err != nil {
		return nil, err
	}

	minted, err := upstream.mint(ctx, &announced.Order)
	if err != nil {
		var failed *upstreamError
		if errors.As(err, &failed) && failed.nothingDone {
			if kept := framework.DeleteWAL(context.WithoutCancel(ctx), req.Storage, entry); kept != nil {
				b.Logger().Warn("the write-ahead entry of a refused token is left", "error", kept)
			}
		}
		return nil, err
	}
	terms, err = limited(terms, minted.ExpiresAt, c.RenewUpstream)
	announcedStill := err != nil
	if err == nil {
		err = framework.DeleteWAL(ctx, req.Storage, entry)
	}
	if err == nil {
		// Whoever hung up gets no lease.
		err = ctx.Err()
	}
	if err != nil {
		b.giveBack(context.WithoutCancel(ctx), req.Storage, upstream, minted.ID, entry, announced, announcedStill)
		return nil, err
	}

	response := b.Secret(tokenType).Response(map[string]any{
		"token":       minted.Token,
		"permissions": r.Permissions,
	}, map[string]any{
		"id":             minted.ID,
		"api_endpoint":   c.APIEndpoint,
		"ttl":            int64(terms.ttl / time.Second),
		"max_ttl":        int64(terms.maxTTL / time.Second),
		"renew_upstream": c.RenewUpstream,
		"role":           name,
		"name":           announced.Order.Name,
		"run":            b.run,
	})
	response.Secret.TTL = terms.ttl
	response.Secret.MaxTTL = terms.maxTTL
	return response, nil
}

// limited returns the terms as far as the service lets the token live.
func limited(t terms, expiresAt json.RawMessage, renewUpstream bool) (terms, error) {
	remaining, err := remaining(expiresAt, time.Now())
	if err != nil || remaining == 0 {
		return t, err
	}
	t.ttl = min(t.ttl, remaining)
	if !renewUpstream {
		t.maxTTL = min(t.maxTTL, remaining)
	}
	return t, nil
}

// giveBack revokes a token that is not handed out. Where that fails, the write-ahead entry is left to do it.
func (b *backend) giveBack(ctx context.Context, storage logical.Storage, u *upstream, id, entry string, announced intent, announcedStill bool) {
	if err := u.revoke(ctx, id, u.endpoint); err != nil {
		b.Logger().Error("a token that was not handed out is left to rollback", "error", err)
		if announcedStill {
			return
		}
		// It has been taken back already, or may have been.
		if _, err := framework.PutWAL(ctx, storage, walMint, announced); err != nil {
			b.Logger().Error("a token may be live and not in the write-ahead log", "name", announced.Order.Name, "error", err)
		}
		return
	}
	if err := framework.DeleteWAL(ctx, storage, entry); err != nil {
		b.Logger().Warn("the write-ahead entry of a revoked token is left", "error", err)
	}
}

// rollBack revokes what a mint without a known end may have left at the service: asked again with the same idempotency
// key, it answers with the token of the first time.
func (b *backend) rollBack(ctx context.Context, req *logical.Request, _ string, data any) error {
	announced, err := readIntent(data)
	if err != nil {
		return fmt.Errorf("the write-ahead entry of a mint cannot be read: %w", err)
	}
	name := announced.Order.Name
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("token %q may be live at %s and cannot be revoked without configuration; write it again",
			name, announced.APIEndpoint)
	}
	// Another service would mint a token of its own, and knows nothing of the one that is looked for.
	if c.APIEndpoint != announced.APIEndpoint {
		return fmt.Errorf("token %q may be live at %s but the configuration names %s; revoke it there, or configure that "+
			"address until this is done", name, announced.APIEndpoint, c.APIEndpoint)
	}
	upstream, err := b.upstreamFor(c)
	if err != nil {
		return err
	}
	minted, err := upstream.mint(ctx, &announced.Order)
	var failed *upstreamError
	if errors.As(err, &failed) && failed.orderRefused() {
		b.Logger().Warn("a token was never minted", "name", name, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	return upstream.revoke(ctx, minted.ID, announced.APIEndpoint)
}

func readIntent(data any) (intent, error) {
	var announced intent
	text, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(text, &announced)
	}
	return announced, err
}
