package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// answer reads a question a line and writes an answer a line, until its input ends.
func answer[Q any](oracle func(Q) any) error {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(output)
	encoder.SetEscapeHTML(false)
	for input.Scan() {
		// An empty line asks for the answers so far.
		if len(input.Bytes()) == 0 {
			if err := output.Flush(); err != nil {
				return err
			}
			continue
		}
		var question Q
		if err := json.Unmarshal(input.Bytes(), &question); err != nil {
			return fmt.Errorf("%s: %w", input.Text(), err)
		}
		if err := encoder.Encode(oracle(question)); err != nil {
			// Infinity and its like.
			if err := encoder.Encode(map[string]any{"unencodable": err.Error()}); err != nil {
				return err
			}
		}
	}
	if err := input.Err(); err != nil {
		return err
	}
	return output.Flush()
}

var fieldTypes = map[string]framework.FieldType{
	"String":               framework.TypeString,
	"Int":                  framework.TypeInt,
	"Int64":                framework.TypeInt64,
	"Bool":                 framework.TypeBool,
	"Map":                  framework.TypeMap,
	"Slice":                framework.TypeSlice,
	"StringSlice":          framework.TypeStringSlice,
	"CommaStringSlice":     framework.TypeCommaStringSlice,
	"CommaIntSlice":        framework.TypeCommaIntSlice,
	"KvPairs":              framework.TypeKVPairs,
	"NameString":           framework.TypeNameString,
	"LowerCaseString":      framework.TypeLowerCaseString,
	"DurationSecond":       framework.TypeDurationSecond,
	"SignedDurationSecond": framework.TypeSignedDurationSecond,
	"Float":                framework.TypeFloat,
	"Time":                 framework.TypeTime,
	"Header":               framework.TypeHeader,
}

// fields says what FieldData makes of a value that came as JSON: {"value":…}, {} where it counts as not given, or
// {"error":…}.
func fields([]string) error {
	type question struct {
		Kind  string `json:"kind"`
		Value any    `json:"value"`
	}
	return answer(func(q question) any {
		kind, known := fieldTypes[q.Kind]
		if !known {
			return map[string]any{"error": "unknown kind " + q.Kind}
		}
		data := framework.FieldData{
			Raw:    map[string]any{"field": q.Value},
			Schema: map[string]*framework.FieldSchema{"field": {Type: kind}},
		}
		if err := data.Validate(); err != nil {
			return map[string]any{"error": err.Error()}
		}
		value, given, err := data.GetOkErr("field")
		switch {
		case err != nil:
			return map[string]any{"error": err.Error()}
		case !given:
			return map[string]any{}
		default:
			return map[string]any{"value": value}
		}
	})
}

// routes says which of the patterns takes a path, and what it captures: {"index":…, "captures":…}, {} for none, or
// {"invalid":…} where a pattern is not one.
func routes([]string) error {
	type question struct {
		Patterns []string `json:"patterns"`
		Path     string   `json:"path"`
	}
	return answer(func(q question) (answered any) {
		// A pattern that does not compile is the author's fault: the SDK panics.
		defer func() {
			if fault := recover(); fault != nil {
				answered = map[string]any{"invalid": fmt.Sprint(fault)}
			}
		}()
		backend := &framework.Backend{}
		for index, pattern := range q.Patterns {
			backend.Paths = append(backend.Paths, &framework.Path{
				Pattern:             pattern,
				TakesArbitraryInput: true,
				Callbacks: map[logical.Operation]framework.OperationFunc{
					logical.ReadOperation: func(_ context.Context, _ *logical.Request, data *framework.FieldData) (*logical.Response, error) {
						return &logical.Response{Data: map[string]any{"index": index, "captures": data.Raw}}, nil
					},
				},
			})
		}
		response, err := backend.HandleRequest(context.Background(), &logical.Request{Operation: logical.ReadOperation, Path: q.Path})
		if err != nil {
			return map[string]any{}
		}
		return response.Data
	})
}

// ttl says which time a lease is granted: {"ttl":…, "warnings":…} or {"error":…}. Everything is in seconds; the lease was
// issued so many seconds ago.
func ttl([]string) error {
	type question struct {
		Default     int64 `json:"default"`
		Max         int64 `json:"max"`
		Increment   int64 `json:"increment"`
		TTL         int64 `json:"ttl"`
		Period      int64 `json:"period"`
		MaxTTL      int64 `json:"max_ttl"`
		ExplicitMax int64 `json:"explicit_max_ttl"`
		Age         int64 `json:"age"`
	}
	seconds := func(count int64) time.Duration { return time.Duration(count) * time.Second }
	return answer(func(q question) any {
		system := &logical.StaticSystemView{DefaultLeaseTTLVal: seconds(q.Default), MaxLeaseTTLVal: seconds(q.Max)}
		for {
			now := time.Now()
			granted, warnings, err := framework.CalculateTTL(system, seconds(q.Increment), seconds(q.TTL), seconds(q.Period),
				seconds(q.MaxTTL), seconds(q.ExplicitMax), now.Add(-seconds(q.Age)))
			if time.Now().Unix() != now.Unix() {
				// A second passed between, and the age is another one.
				continue
			}
			if err != nil {
				return map[string]any{"error": err.Error()}
			}
			return map[string]any{"ttl": int64(granted / time.Second), "warnings": warnings}
		}
	})
}
