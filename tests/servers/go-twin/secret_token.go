package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const tokenType = "token"

// leased is what a lease remembers of its token. Durations are in seconds.
type leased struct {
	ID            string `json:"id"`
	APIEndpoint   string `json:"api_endpoint"`
	TTL           int64  `json:"ttl"`
	MaxTTL        int64  `json:"max_ttl"`
	RenewUpstream bool   `json:"renew_upstream"`
	Role          string `json:"role"`
	Name          string `json:"name"`
}

func (b *backend) secretToken() *framework.Secret {
	return &framework.Secret{
		Type:   tokenType,
		Fields: map[string]*framework.FieldSchema{"token": {Type: framework.TypeString, Description: "The token."}},
		Renew:  b.renewToken,
		Revoke: b.revokeToken,
	}
}

func leasedOf(req *logical.Request) (*leased, error) {
	text, err := json.Marshal(req.Secret.InternalData)
	if err != nil {
		return nil, err
	}
	l := &leased{}
	if json.Unmarshal(text, l) != nil || !addressable(l.ID) || l.APIEndpoint == "" {
		return nil, errors.New("the lease holds internal data that this version cannot read")
	}
	return l, nil
}

func (b *backend) renewToken(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	l, err := leasedOf(req)
	if err != nil {
		return nil, err
	}
	ttl := time.Duration(l.TTL) * time.Second
	if l.RenewUpstream {
		upstream, err := b.configured(ctx, req, "renewed")
		if err != nil {
			return nil, err
		}
		expiresAt, err := upstream.renew(ctx, l.ID, l.TTL)
		if err != nil {
			return nil, err
		}
		remaining, err := remaining(expiresAt, time.Now())
		if err != nil {
			return nil, err
		}
		if remaining != 0 {
			ttl = min(ttl, remaining)
		}
	}
	response := &logical.Response{Secret: req.Secret}
	response.Secret.TTL = ttl
	response.Secret.MaxTTL = time.Duration(l.MaxTTL) * time.Second
	return response, nil
}

// revokeToken revokes at the service. A token that is gone already is as good as revoked, since a host may ask twice.
func (b *backend) revokeToken(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	l, err := leasedOf(req)
	if err != nil {
		return nil, err
	}
	upstream, err := b.configured(ctx, req, "revoked")
	if err != nil {
		return nil, err
	}
	return nil, upstream.revoke(ctx, l.ID, l.APIEndpoint)
}

func (b *backend) configured(ctx context.Context, req *logical.Request, toBe string) (*upstream, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("the token cannot be %s since the configuration of its service is gone; its lease stays until it is "+
			"written again: vault write %sconfig api_endpoint=… api_key=…", toBe, req.MountPoint)
	}
	return b.upstreamFor(c)
}

// remaining returns how long it is until an expires_at, in seconds rounded up; zero if it says nothing.
func remaining(expiresAt json.RawMessage, now time.Time) (time.Duration, error) {
	if len(expiresAt) == 0 || string(expiresAt) == "null" {
		return 0, nil
	}
	var instant time.Time
	if json.Unmarshal(expiresAt, &instant) != nil {
		return 0, errors.New("the token service answered with an expires_at that is not an RFC 3339 time")
	}
	left := instant.Sub(now)
	if left <= 0 {
		return 0, fmt.Errorf("the token service says that the token ended at %s; compare its clock with this node's",
			instant.UTC().Format(time.RFC3339Nano))
	}
	return (left + time.Second - 1).Truncate(time.Second), nil
}
