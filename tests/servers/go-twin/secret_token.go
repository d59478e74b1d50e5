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
	Account       string `json:"account"`
	Path          string `json:"revocation_path"`
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
	ttl, maxTTL := time.Duration(l.TTL)*time.Second, time.Duration(l.MaxTTL)*time.Second
	if l.RenewUpstream {
		asked, issued, now := req.Secret.LeaseOptions, req.Secret.IssueTime, time.Now()
		granted, _, err := framework.CalculateTTL(b.System(), asked.Increment, ttl, 0, maxTTL, 0, issued)
		// Past the maximum Vault refuses by itself, and the service is not asked.
		if err == nil {
			upstream, err := b.configured(ctx, req, l, "renewed")
			if err != nil {
				return nil, err
			}
			expiresAt, err := upstream.renew(ctx, l.ID, int64(granted/time.Second))
			if err != nil {
				return nil, coded(err)
			}
			given, err := remaining(expiresAt, time.Now())
			if err != nil {
				return nil, err
			}
			if given == 0 {
				given = granted
			}
			age := time.Duration(0)
			if !issued.IsZero() {
				age = max(now.Truncate(time.Second).Sub(issued.Truncate(time.Second)), 0)
			}
			ttl, maxTTL = min(ttl, given), min(maxTTL, age+given)
		}
	}
	response := &logical.Response{Secret: req.Secret}
	response.Secret.TTL = ttl
	response.Secret.MaxTTL = maxTTL
	return response, nil
}

// revokeToken revokes at the service. A token that is gone already is as good as revoked, since a host may ask twice.
func (b *backend) revokeToken(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	l, err := leasedOf(req)
	if err != nil {
		return nil, err
	}
	upstream, err := b.configured(ctx, req, l, "revoked")
	if err != nil {
		return nil, err
	}
	path := l.Path
	if path == "" {
		path = revocationOf(l.ID).Path
	}
	return nil, coded(upstream.revoke(ctx, path))
}

// configured returns the client of the connection that minted the token of a lease.
func (b *backend) configured(ctx context.Context, req *logical.Request, l *leased, toBe string) (*upstream, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("the token cannot be %s since the configuration of its service is gone; its lease stays until it is "+
			"written again: vault write %sconfig api_endpoint=… api_key=…", toBe, req.MountPoint)
	}
	if err := c.reaches(l.APIEndpoint, l.Account); err != nil {
		return nil, err
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
		return 0, errors.New("the time at which the token ends is not an RFC 3339 time")
	}
	left := instant.Sub(now)
	if left <= 0 {
		return 0, fmt.Errorf("the token service says that the token ended at %s; compare its clock with this node's",
			instant.UTC().Format(time.RFC3339Nano))
	}
	return (left + time.Second - 1).Truncate(time.Second), nil
}
