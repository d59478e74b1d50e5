package main

import (
	"context"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	rolePrefix = "roles/"
	defaultTTL = 3600
)

// roleName is what a role may be called: one segment of a path, in letters that need no quoting anywhere.
var roleName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// role is a role as stored. Durations are in seconds; a MaxTTL of zero leaves it to the mount.
type role struct {
	Permissions []string `json:"permissions"`
	TTL         int      `json:"ttl"`
	MaxTTL      int      `json:"max_ttl"`
}

// terms are the time frame of one lease.
type terms struct{ ttl, maxTTL time.Duration }

func (r *role) terms(mountMax time.Duration) terms {
	ttl, maxTTL := time.Duration(r.TTL)*time.Second, time.Duration(r.MaxTTL)*time.Second
	if maxTTL == 0 {
		maxTTL = mountMax
	}
	maxTTL = min(maxTTL, mountMax)
	return terms{min(ttl, maxTTL), maxTTL}
}

// warnings is what the writer of a role should know of it.
func (r *role) warnings(mountMax time.Duration) []string {
	warnings := []string{}
	limit := int64(mountMax / time.Second)
	for _, field := range []struct {
		name    string
		seconds int64
	}{{"ttl", int64(r.TTL)}, {"max_ttl", int64(r.MaxTTL)}} {
		if field.seconds > limit {
			warnings = append(warnings, fmt.Sprintf("%s is %ds, and leases of this mount last %ds at most (max_lease_ttl): they end sooner",
				field.name, field.seconds, limit))
		}
	}
	return warnings
}

func (b *backend) pathListRoles() *framework.Path {
	return &framework.Path{
		Pattern: "roles/?",
		Fields: map[string]*framework.FieldSchema{
			"after": {Type: framework.TypeString, Query: true, Description: "Name after which the list begins."},
			"limit": {Type: framework.TypeInt, Query: true, Description: "How many names to return at most. Default all."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{Callback: b.listRoles, Summary: "List the roles."},
		},
		HelpSynopsis:    "List the roles.",
		HelpDescription: "Lists the names of the roles, in pages if asked for.",
	}
}

func (b *backend) pathRoles() *framework.Path {
	return &framework.Path{
		// Captures whatever follows, so that what is no name is refused with the reason and not as an unknown path.
		Pattern: "roles/(?P<name>.+)",
		Fields: map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString, Required: true, Description: "Name of the role."},
			"permissions": {
				Type:        framework.TypeCommaStringSlice,
				Required:    true,
				Description: "Permissions of the tokens: a list, or text split at commas.",
			},
			"ttl": {
				Type:        framework.TypeDurationSecond,
				Description: "How long a lease runs until it is renewed. Default 1h (3600).",
			},
			"max_ttl": {
				Type:        framework.TypeDurationSecond,
				Description: "How long a lease can be renewed to. Default 0: as long as the mount allows.",
			},
		},
		ExistenceCheck: func(ctx context.Context, req *logical.Request, data *framework.FieldData) (bool, error) {
			name := data.Get("name").(string)
			if !roleName.MatchString(name) {
				return false, nil
			}
			entry, err := req.Storage.Get(ctx, rolePrefix+name)
			return entry != nil, err
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeRole, Summary: "Create the role."},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeRole, Summary: "Change the role."},
			logical.PatchOperation:  &framework.PathOperation{Callback: b.patchRole, Summary: "Change single fields; null takes a field back to its default."},
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readRole, Summary: "Show the role."},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteRole, Summary: "Delete the role. Its leases live on."},
		},
		HelpSynopsis: "Manage a role.",
		HelpDescription: "A role says which permissions the tokens read from creds/NAME have and how long they live. A write changes " +
			"the fields it names and keeps the others. Tokens already leased keep the terms they were leased under.",
	}
}

func storedRole(ctx context.Context, storage logical.Storage, name string) (*role, error) {
	entry, err := storage.Get(ctx, rolePrefix+name)
	if err != nil || entry == nil {
		return nil, err
	}
	r := &role{}
	return r, entry.DecodeJSON(r)
}

// nameOf returns the name of the role in a request, or the answer to a text that cannot be one.
func nameOf(data *framework.FieldData) (string, *logical.Response) {
	name := data.Get("name").(string)
	if !roleName.MatchString(name) {
		return "", logical.ErrorResponse("%q cannot be the name of a role: use the letters A to Z in either case, digits and _, "+
			"and between them - and .", name)
	}
	return name, nil
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, rolePrefix)
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	if after := data.Get("after").(string); after != "" {
		names = names[sort.Search(len(names), func(i int) bool { return names[i] > after }):]
	}
	if limit := data.Get("limit").(int); limit > 0 && limit < len(names) {
		names = names[:limit]
	}
	return logical.ListResponse(names), nil
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name, refused := nameOf(data)
	if refused != nil {
		return refused, nil
	}
	r, err := storedRole(ctx, req.Storage, name)
	if err != nil || r == nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{"permissions": r.Permissions, "ttl": r.TTL, "max_ttl": r.MaxTTL}}, nil
}

func (b *backend) writeRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name, refused := nameOf(data)
	if refused != nil {
		return refused, nil
	}
	r, err := storedRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &role{TTL: defaultTTL}
	}
	return b.changeRole(ctx, req, data, name, r)
}

func (b *backend) patchRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name, refused := nameOf(data)
	if refused != nil {
		return refused, nil
	}
	r, err := storedRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, logical.CodedError(404, fmt.Sprintf("there is no role %q to patch; write it first", name))
	}
	return b.changeRole(ctx, req, data, name, r)
}

func (b *backend) changeRole(ctx context.Context, req *logical.Request, data *framework.FieldData, name string, r *role) (*logical.Response, error) {
	apply(req, data, "permissions", &r.Permissions, nil)
	apply(req, data, "ttl", &r.TTL, defaultTTL)
	apply(req, data, "max_ttl", &r.MaxTTL, 0)

	permissions := []string{}
	for _, entry := range r.Permissions {
		if entry = strings.TrimSpace(entry); entry != "" {
			permissions = append(permissions, entry)
		}
	}
	r.Permissions = permissions
	if len(r.Permissions) == 0 {
		return logical.ErrorResponse("permissions is required: name at least one, such as permissions=read,list"), nil
	}
	if r.TTL == 0 {
		return logical.ErrorResponse("ttl must be longer than zero"), nil
	}
	if r.MaxTTL != 0 && r.TTL > r.MaxTTL {
		return logical.ErrorResponse("ttl (%ds) must not be longer than max_ttl (%ds)", r.TTL, r.MaxTTL), nil
	}
	entry, err := logical.StorageEntryJSON(rolePrefix+name, r)
	if err != nil {
		return nil, err
	}
	if err := req.Storage.Put(ctx, entry); err != nil {
		return nil, err
	}
	return warned(r.warnings(b.System().MaxLeaseTTL())), nil
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name, refused := nameOf(data)
	if refused != nil {
		return refused, nil
	}
	return nil, req.Storage.Delete(ctx, rolePrefix+name)
}
