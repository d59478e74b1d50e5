package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/policyutil"
	"github.com/hashicorp/vault/sdk/helper/tokenutil"
	"github.com/hashicorp/vault/sdk/logical"
)

// roles are what an operator may want of tokens, the fields of tokenutil in all their spellings, and what is refused.
var roles = []map[string]any{
	{},
	{"token_ttl": "1h", "token_max_ttl": 86400, "token_policies": "reader, writer"},
	{"token_policies": []string{"Reader"}, "token_no_default_policy": "true", "token_num_uses": "7"},
	{"token_period": "30m", "token_explicit_max_ttl": "48h", "token_type": "service"},
	{"token_type": "batch", "token_ttl": 60, "token_bound_cidrs": "127.0.0.0/8,10.1.2.3"},
	{"token_bound_cidrs": []string{"2001:db8::/32", "127.0.0.1"}, "alias_metadata": []string{"team=blue"}},
	{"token_type": "", "alias_metadata": map[string]string{"team": "red", "seat": "7"}},
	{"token_type": "default"},
	{"token_type": "default-service"},
	{"token_type": "periodic"},
	{"token_type": "batch", "token_period": "1h"},
	{"token_type": "batch", "token_num_uses": 1},
	{"token_num_uses": -1},
	{"token_ttl": "2h", "token_max_ttl": "1h"},
}

// logins drives the doorman, an auth method in Rust: what its roles take, what its logins say and what its renewals keep
// must be what the official helpers for tokens make of the same fields.
func logins(command []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	host, err := start(hclog.NewNullLogger(), command)
	if err != nil {
		return err
	}
	defer host.client.Kill()
	storage := &logical.InmemStorage{}
	backend, err := host.mount(ctx, settings(storage, hclog.NewNullLogger()))
	if err != nil {
		return err
	}
	d := &door{backend, storage}
	err = errors.Join(expect("type", backend.Type(), logical.TypeCredential),
		expect("paths without a token", backend.SpecialPaths().Unauthenticated, []string{"login"}))
	for _, role := range roles {
		if roleErr := d.role(ctx, role); roleErr != nil {
			err = errors.Join(err, fmt.Errorf("role %v: %w", role, roleErr))
		}
	}
	return errors.Join(err, d.renewals(ctx))
}

type door struct {
	logical.Backend
	storage logical.Storage
}

func (d *door) ask(ctx context.Context, operation logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	return accepted(d.HandleRequest(ctx, request(operation, path, data, d.storage)))
}

// enter logs in as Vault has somebody do it, without a token.
func (d *door) enter(ctx context.Context, operation logical.Operation, ticket string) (*logical.Response, error) {
	login := request(operation, "login", map[string]any{"ticket": ticket}, d.storage)
	login.Unauthenticated = true
	login.Connection = &logical.Connection{RemoteAddr: "127.0.0.1"}
	return accepted(d.HandleRequest(ctx, login))
}

func (d *door) ticket(ctx context.Context) (string, error) {
	response, err := d.ask(ctx, logical.UpdateOperation, "tickets/guest", map[string]any{"name": "ann"})
	if err != nil {
		return "", err
	}
	return response.Data["ticket"].(string), nil
}

// understood is what the SDK makes of the fields of a role.
func understood(raw map[string]any) (*tokenutil.TokenParams, error) {
	data := &framework.FieldData{Raw: raw, Schema: tokenutil.TokenFields()}
	params := &tokenutil.TokenParams{}
	return params, errors.Join(data.Validate(), params.ParseTokenFields(nil, data))
}

func (d *door) role(ctx context.Context, raw map[string]any) error {
	params, refusal := understood(raw)
	if _, err := d.ask(ctx, logical.DeleteOperation, "roles/guest", nil); err != nil {
		return err
	}
	_, err := d.ask(ctx, logical.UpdateOperation, "roles/guest", raw)
	if err != nil || refusal != nil {
		return expect("refusal", fmt.Sprint(err), fmt.Sprint(refusal))
	}

	wanted := map[string]any{}
	params.PopulateTokenData(wanted)
	read, err := d.ask(ctx, logical.ReadOperation, "roles/guest", nil)
	if err != nil {
		return err
	}
	if err := expect("role", read.Data, wanted); err != nil {
		return err
	}

	ticket, err := d.ticket(ctx)
	if err != nil {
		return err
	}
	who, whoErr := d.enter(ctx, logical.AliasLookaheadOperation, ticket)
	role, roleErr := d.enter(ctx, logical.ResolveRoleOperation, ticket)
	in, inErr := d.enter(ctx, logical.UpdateOperation, ticket)
	if err := errors.Join(whoErr, roleErr, inErr); err != nil {
		return err
	}
	if _, again := d.enter(ctx, logical.UpdateOperation, ticket); !errors.Is(again, logical.ErrPermissionDenied) {
		return fmt.Errorf("a ticket was taken twice: %v", again)
	}
	auth := &logical.Auth{
		Alias:        &logical.Alias{Name: "ann"},
		DisplayName:  "ann",
		InternalData: map[string]any{"name": "ann", "role": "guest"},
		Metadata:     map[string]string{"role": "guest"},
	}
	params.PopulateTokenAuth(auth)
	return errors.Join(expect("who it would be", who.Auth.Alias, &logical.Alias{Name: "ann"}), expect("role of the login", role.Data, map[string]any{"role": "guest"}),
		sameLogin(in.Auth, auth))
}

// sameLogin compares what goes over the wire; no list and an empty one are the same there.
func sameLogin(got, wanted *logical.Auth) error {
	if got == nil {
		return errors.New("no login was answered")
	}
	plain := func(auth *logical.Auth) (map[string]any, error) {
		text, err := json.Marshal(auth)
		if err != nil {
			return nil, err
		}
		fields := map[string]any{}
		err = json.Unmarshal(text, &fields)
		for name, value := range fields {
			if list, is := value.([]any); is && len(list) == 0 || value == nil {
				delete(fields, name)
			}
		}
		return fields, err
	}
	a, err := plain(got)
	b, wantedErr := plain(wanted)
	return errors.Join(err, wantedErr, expect("login", a, b), expect("time of issue", got.IssueTime.Unix(), wanted.IssueTime.Unix()))
}

// renewals hands a login back as Vault does, with all that it has added to it.
func (d *door) renewals(ctx context.Context) error {
	raw := map[string]any{"token_ttl": "1h", "token_max_ttl": "2h", "token_policies": "writer,Reader"}
	if _, err := d.ask(ctx, logical.UpdateOperation, "roles/guest", raw); err != nil {
		return err
	}
	ticket, err := d.ticket(ctx)
	if err != nil {
		return err
	}
	in, err := d.enter(ctx, logical.UpdateOperation, ticket)
	if err != nil {
		return err
	}
	auth := in.Auth
	auth.ClientToken, auth.Accessor, auth.EntityID = "hvs.1", "a1", "e1"
	auth.TokenPolicies = policyutil.SanitizePolicies(auth.Policies, policyutil.AddDefaultPolicy)
	auth.IdentityPolicies = []string{"identity"}
	auth.GroupAliases = []*logical.Alias{{Name: "admins", MountAccessor: "auth_1", Metadata: map[string]string{"a": "b"}}}
	auth.IssueTime, auth.Increment = time.Unix(1_700_000_000, 0), time.Minute
	renew := func() (*logical.Response, error) {
		sent := request(logical.RenewOperation, "login", nil, d.storage)
		sent.Auth = auth
		return accepted(d.HandleRequest(ctx, sent))
	}
	renewed, err := renew()
	if err != nil {
		return err
	}
	if err := sameLogin(renewed.Auth, auth); err != nil {
		return err
	}
	if _, err := d.ask(ctx, logical.UpdateOperation, "roles/guest", map[string]any{"token_policies": "writer"}); err != nil {
		return err
	}
	_, changed := renew()
	if _, err := d.ask(ctx, logical.DeleteOperation, "roles/guest", nil); err != nil {
		return err
	}
	_, gone := renew()
	return errors.Join(expect("after a change of policies", fmt.Sprint(changed), "the policies of the role have changed: log in again"),
		expect("without the role", fmt.Sprint(gone), "the role is gone"))
}
