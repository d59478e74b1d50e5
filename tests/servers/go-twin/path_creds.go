package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// walMint is the kind of the write-ahead entries that precede a mint.
const walMint = "mint"

// clockSkew is how far the clocks of this node and of the service may be apart.
const clockSkew = 10 * time.Minute

// revocation is how a token is revoked.
type revocation struct {
	ID   string `json:"id"`
	Path string `json:"path"`
}

func revocationOf(id string) revocation {
	return revocation{id, strings.TrimPrefix(below("", "tokens", id), "/")}
}

// walEntry is a write-ahead entry: planned before the service is asked, minted as soon as it has answered.
type walEntry struct {
	APIEndpoint string          `json:"api_endpoint"`
	Account     string          `json:"account,omitempty"`
	Order       order           `json:"order"`
	PlannedAt   int64           `json:"planned_at,omitempty"`
	State       json.RawMessage `json:"state"`
}

var (
	planned = json.RawMessage(`"planned"`)
	// After a repeated request has minted another token, the first one cannot be found any more.
	forgotten = json.RawMessage(`"forgotten"`)
)

// errForgotten says why the token of a forgotten entry is not found.
var errForgotten = errors.New("the service did not recognize the request and created another token, which is revoked; set config " +
	"idempotency_window to the time for which it recognizes one")

func minted(r revocation) json.RawMessage {
	text, _ := json.Marshal(map[string]any{"minted": map[string]any{"revocation": r}})
	return text
}

// revocation returns how the token of an entry is revoked, and whether the service has minted it.
func (e *walEntry) revocation() (revocation, bool) {
	var state struct {
		Minted struct {
			Revocation revocation `json:"revocation"`
		} `json:"minted"`
	}
	if json.Unmarshal(e.State, &state) != nil {
		return revocation{}, false
	}
	return state.Minted.Revocation, state.Minted.Revocation.ID != ""
}

// putEntry writes an entry under its id, sealed where Vault does that.
func putEntry(ctx context.Context, storage logical.Storage, id string, e walEntry) error {
	entry, err := logical.StorageEntryJSON(framework.WALPrefix+id,
		&framework.WALEntry{Kind: walMint, Data: e, CreatedAt: time.Now().UTC().Unix()})
	if err != nil {
		return err
	}
	entry.SealWrap = true
	return storage.Put(ctx, entry)
}

func (b *backend) pathCreds() *framework.Path {
	return &framework.Path{
		Pattern: "creds/(?P<name>.+)",
		Fields: map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString, Required: true, Description: "Name of the role."},
			"permissions": {
				Type:        framework.TypeCommaStringSlice,
				Description: "Permissions of the token, if fewer than those of the role.",
			},
			"ttl": {
				Type:        framework.TypeDurationSecond,
				Description: "How long the token lives at most, if shorter than the role's ttl.",
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readCreds, Summary: "Mint a token."},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.readCreds, Summary: "Mint a token with fewer permissions or a shorter life."},
		},
		HelpSynopsis: "Read a token of a role.",
		HelpDescription: "Each read mints a token with the permissions of the role, under a renewable lease. It is revoked at the " +
			"token service when the lease is revoked or ends. A write asks for less than the role allows.",
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
	permissions := r.Permissions
	if req.Operation == logical.UpdateOperation {
		if refused := narrow(data, r, &permissions, &terms); refused != nil {
			return refused, nil
		}
	}
	upstream, err := b.upstreamFor(c)
	if err != nil {
		return nil, err
	}

	// A token that the service does not renew has to outlive every renewal of its lease.
	upstreamTTL := terms.maxTTL
	if c.RenewUpstream {
		upstreamTTL = terms.ttl
	}
	o, err := newOrder(name, permissions, int64(upstreamTTL/time.Second))
	if err != nil {
		return nil, err
	}
	entry := walEntry{c.APIEndpoint, c.Account, o, time.Now().Unix(), planned}
	id := uuid.NewString()
	if err := putEntry(ctx, req.Storage, id, entry); err != nil {
		return nil, err
	}

	token, err := upstream.mint(ctx, &entry.Order, c.repeatsMints())
	if err != nil {
		var failed *upstreamError
		if errors.As(err, &failed) && failed.nothingDone {
			if kept := framework.DeleteWAL(context.WithoutCancel(ctx), req.Storage, id); kept != nil {
				b.Logger().Warn("the write-ahead entry of a refused token is left", "error", kept)
			}
		}
		return ofRole(err)
	}
	revoke := revocationOf(token.ID)
	entry.State = minted(revoke)
	err = putEntry(ctx, req.Storage, id, entry)
	if err == nil {
		terms, err = limited(terms, token.ExpiresAt, c.RenewUpstream)
	}
	if err == nil {
		err = framework.DeleteWAL(ctx, req.Storage, id)
	}
	if err == nil {
		// Whoever hung up gets no lease.
		err = ctx.Err()
	}
	if err != nil {
		b.giveBack(context.WithoutCancel(ctx), req.Storage, upstream, revoke, id, entry)
		return nil, err
	}

	internal := map[string]any{
		"id":              token.ID,
		"api_endpoint":    c.APIEndpoint,
		"revocation_path": revoke.Path,
		"ttl":             int64(terms.ttl / time.Second),
		"max_ttl":         int64(terms.maxTTL / time.Second),
		"renew_upstream":  c.RenewUpstream,
		"role":            name,
		"name":            entry.Order.Name,
		"run":             b.run,
	}
	if c.Account != "" {
		internal["account"] = c.Account
	}
	response := b.Secret(tokenType).Response(map[string]any{
		"token":       token.Token,
		"permissions": permissions,
	}, internal)
	response.Secret.TTL = terms.ttl
	response.Secret.MaxTTL = terms.maxTTL
	return response, nil
}

// narrow applies what a request asks for if it is less than the role allows.
func narrow(data *framework.FieldData, r *role, permissions *[]string, t *terms) *logical.Response {
	if _, given := data.Raw["permissions"]; given {
		asked := []string{}
		for _, name := range data.Get("permissions").([]string) {
			if name = strings.TrimSpace(name); name != "" {
				asked = append(asked, name)
			}
		}
		if len(asked) == 0 {
			return logical.ErrorResponse("permissions is empty: name at least one, or omit the field for all permissions of the role")
		}
		for _, name := range asked {
			if !slices.Contains(r.Permissions, name) {
				return logical.ErrorResponse("the role does not have the permission %q; it has %s", name, strings.Join(r.Permissions, ", "))
			}
		}
		*permissions = asked
	}
	ttl := time.Duration(data.Get("ttl").(int)) * time.Second
	if ttl == 0 {
		return nil
	}
	if ttl > t.ttl {
		return logical.ErrorResponse("ttl must not be longer than that of the role, %ds", int64(t.ttl/time.Second))
	}
	t.ttl, t.maxTTL = min(t.ttl, ttl), min(t.maxTTL, ttl)
	return nil
}

// ofRole is a failed mint as its caller gets it: a request that the service finds wrong was made of the role.
func ofRole(err error) (*logical.Response, error) {
	var failed *upstreamError
	if errors.As(err, &failed) && (failed.status == http.StatusBadRequest || failed.status == http.StatusUnprocessableEntity) {
		return logical.ErrorResponse(err.Error()), nil
	}
	return nil, coded(err)
}

// coded keeps the status of what passes by itself, so that clients try again.
func coded(err error) error {
	var failed *upstreamError
	if errors.As(err, &failed) && slices.Contains([]int{429, 502, 503}, failed.status) {
		return logical.CodedError(failed.status, err.Error())
	}
	return err
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

// giveBack revokes a token that is not handed out. Its entry may have been deleted already: it is written again first, and deleted once
// the token is gone.
func (b *backend) giveBack(ctx context.Context, storage logical.Storage, u *upstream, r revocation, id string, entry walEntry) {
	if err := putEntry(ctx, storage, id, entry); err != nil {
		b.Logger().Error("cannot write that a token is about to be revoked", "name", entry.Order.Name, "error", err)
	}
	if err := u.revoke(ctx, r.Path); err != nil {
		b.Logger().Error("a token that was not issued is left to rollback", "error", err)
		return
	}
	if err := framework.DeleteWAL(ctx, storage, id); err != nil {
		b.Logger().Warn("the write-ahead entry of a revoked token is left", "error", err)
	}
}

// rollBack revokes what a mint without a known end may have left at the service.
func (b *backend) rollBack(ctx context.Context, req *logical.Request, _ string, data any) error {
	entry, err := readEntry(data)
	if err != nil {
		return fmt.Errorf("the write-ahead entry of a mint cannot be read: %w", err)
	}
	name := entry.Order.Name
	until := "it expires"
	if entry.PlannedAt != 0 {
		latest := entry.latestExpiry()
		if latest.Before(time.Now()) {
			b.Logger().Warn("a token, if it was minted, has expired", "name", name)
			return nil
		}
		until = latest.UTC().Format(time.RFC3339)
	}
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("token %q may be live at %s and cannot be revoked without configuration; write it again",
			name, entry.APIEndpoint)
	}
	upstream, err := b.upstreamFor(c)
	if err != nil {
		return err
	}
	if r, known := entry.revocation(); known {
		if err := c.reaches(entry.APIEndpoint, entry.Account); err != nil {
			return err
		}
		return coded(upstream.revoke(ctx, r.Path))
	}
	token, err := b.replay(ctx, c, upstream, &entry)
	if err == nil && entry.outlivedBy(token.ExpiresAt) {
		if err := b.setAside(ctx, req.Storage, upstream, entry, revocationOf(token.ID)); err != nil {
			return err
		}
		err = errForgotten
	}
	if err != nil {
		return fmt.Errorf("token %q may be live at %s until %s, and is not found: %w. Revoke it there by its name; this entry closes "+
			"itself by then", name, entry.APIEndpoint, until, err)
	}
	// A revocation that fails is tried again without the service's memory of the request.
	r := revocationOf(token.ID)
	id, err := idOf(ctx, req.Storage, name)
	if err != nil {
		return err
	}
	entry.State = minted(r)
	if err := putEntry(ctx, req.Storage, id, entry); err != nil {
		return err
	}
	return coded(upstream.revoke(ctx, r.Path))
}

// outlivedBy says whether the expires_at of an answer is later than that of any token which this request minted when it was planned.
func (e *walEntry) outlivedBy(expiresAt json.RawMessage) bool {
	var instant time.Time
	return e.PlannedAt != 0 && json.Unmarshal(expiresAt, &instant) == nil && instant.After(e.latestExpiry())
}

// latestExpiry is when the token expires at the latest, as it was asked for and never renewed.
func (e *walEntry) latestExpiry() time.Time {
	return time.Unix(e.PlannedAt, 0).Add(time.Duration(e.Order.TTL)*time.Second + clockSkew)
}

// setAside revokes a token that the service has minted in place of recognizing the request of an entry, which is not sent again.
func (b *backend) setAside(ctx context.Context, storage logical.Storage, u *upstream, entry walEntry, another revocation) error {
	name := entry.Order.Name
	id, err := idOf(ctx, storage, name)
	if err != nil {
		return err
	}
	// First of all, as nothing else knows it.
	anotherID, anotherEntry := uuid.NewString(), entry
	anotherEntry.PlannedAt, anotherEntry.State = time.Now().Unix(), minted(another)
	if err := putEntry(ctx, storage, anotherID, anotherEntry); err != nil {
		return err
	}
	entry.State = forgotten
	if err := putEntry(ctx, storage, id, entry); err != nil {
		return err
	}
	if err := u.revoke(ctx, another.Path); err != nil {
		b.Logger().Error("another token is left to rollback", "name", name, "error", err)
		return nil
	}
	return framework.DeleteWAL(ctx, storage, anotherID)
}

// idOf finds the entry of a token: the SDK does not say which one it rolls back.
func idOf(ctx context.Context, storage logical.Storage, name string) (string, error) {
	ids, err := framework.ListWAL(ctx, storage)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		record, err := framework.GetWAL(ctx, storage, id)
		if err != nil {
			return "", err
		}
		if record == nil {
			continue
		}
		if entry, err := readEntry(record.Data); err == nil && entry.Order.Name == name {
			return id, nil
		}
	}
	return "", fmt.Errorf("token %q has no write-ahead entry", name)
}

// replay asks for the token of an entry once more: with the same idempotency key the service answers with that of the first time.
func (b *backend) replay(ctx context.Context, c *config, u *upstream, entry *walEntry) (*mintedToken, error) {
	if string(entry.State) == string(forgotten) {
		return nil, errForgotten
	}
	// Another service would mint a token of its own, and knows nothing of the one that is looked for.
	if err := c.reaches(entry.APIEndpoint, entry.Account); err != nil {
		return nil, err
	}
	age := int64(0)
	if entry.PlannedAt != 0 {
		age = time.Now().Unix() - entry.PlannedAt
	}
	if !c.repeatsMints() || age >= int64(c.IdempotencyWindow)-int64(clockSkew/time.Second) {
		return nil, errors.New("the service may not recognize the request any more (config idempotency_window), and would create another token")
	}
	return u.mint(ctx, &entry.Order, true)
}

func readEntry(data any) (walEntry, error) {
	var entry walEntry
	text, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(text, &entry)
	}
	return entry, err
}
