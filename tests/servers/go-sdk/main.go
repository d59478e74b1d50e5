// Command go-sdk is a plugin as authors write them with HashiCorp's SDK: one
// source for every release of it. Which release is linked is said by a module
// file beside this one. GO_SDK_FAULT makes it a bad plugin.
package main

import (
	"context"
	"os"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	if err := plugin.Serve(&plugin.ServeOpts{BackendFactoryFunc: factory}); err != nil {
		os.Exit(1)
	}
	if os.Getenv("GO_SDK_FAULT") == "deaf" {
		select {}
	}
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	if os.Getenv("GO_SDK_FAULT") == "crash" {
		panic("cannot open the database")
	}
	kind := logical.TypeLogical
	if os.Getenv("GO_SDK_FAULT") == "kind" {
		kind = logical.TypeCredential
	}
	backend := &framework.Backend{
		BackendType: kind,
		Secrets:     []*framework.Secret{note},
		Paths: []*framework.Path{{
			Pattern: "notes/" + framework.GenericNameRegex("name"),
			Fields: map[string]*framework.FieldSchema{
				"name": {Type: framework.TypeString},
				"text": {Type: framework.TypeString},
			},
			Callbacks: map[logical.Operation]framework.OperationFunc{
				logical.UpdateOperation: write,
				logical.ReadOperation:   read,
			},
		}},
	}
	return backend, backend.Setup(ctx, config)
}

// note is what a read gives with GO_SDK_FAULT=lease, on whichever node it is
// asked.
var note = &framework.Secret{Type: "note", Revoke: forget}

func forget(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return nil, nil
}

func write(ctx context.Context, request *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	entry, err := logical.StorageEntryJSON(request.Path, data.Get("text"))
	if err != nil {
		return nil, err
	}
	return nil, request.Storage.Put(ctx, entry)
}

func read(ctx context.Context, request *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	if os.Getenv("GO_SDK_FAULT") == "request" {
		os.Exit(3)
	}
	entry, err := request.Storage.Get(ctx, request.Path)
	if err != nil || entry == nil {
		return nil, err
	}
	var text string
	if err := entry.DecodeJSON(&text); err != nil {
		return nil, err
	}
	answer := map[string]interface{}{"text": text}
	if os.Getenv("GO_SDK_FAULT") == "lease" {
		return note.Response(answer, nil), nil
	}
	return &logical.Response{Data: answer}, nil
}
