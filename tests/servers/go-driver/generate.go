package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// step is one request, with what the token service will do wrong meanwhile.
type step struct {
	operation logical.Operation
	path      string
	data      map[string]any
	// lease is the number of the secret to renew or revoke, or -1.
	lease int
	// internal changes what the lease remembers.
	internal map[string]any
	faults   []fault
}

func (s step) String() string {
	data, _ := json.Marshal(s.data)
	text := fmt.Sprintf("%s %q %s", s.operation, s.path, data)
	if s.lease >= 0 {
		text += fmt.Sprintf(" lease %d %v", s.lease, s.internal)
	}
	if len(s.faults) > 0 {
		text += fmt.Sprintf(" faults %v", s.faults)
	}
	return text
}

var (
	roleNames = []string{"developer", "dev", "Team_1", "read-only", "v1.2", "_", "a", "-bad", "bad-", "a/b", "ünï", "a b", "roles", "."}

	configValues = map[string][]any{
		"api_endpoint": {"http://SERVICE", "http://SERVICE/", "HTTP://SERVICE/api//", "http://SERVICE/v1", " http://SERVICE ", "", " ", "tokens",
			"ftp://SERVICE", "http://user:word@SERVICE", "http://SERVICE/?q=1", "http://SERVICE/#f", "http://", nil, 5, true, []any{"x"},
			map[string]any{"a": "b"}},
		"api_key":            {"key-1", "key-2", "k", "", "two words", "line\n", "kéy", nil, 12, 1.5, true, []any{}, "~!@#$%^&*()"},
		"ca_cert":            {"", " ", "no pem", nil, 1},
		"tls_skip_verify":    {true, false, "true", "0", "t", "perhaps", 1, 0, "", nil, []any{}},
		"request_timeout":    {"30s", 5, "5", "1m", "60", 60, 61, 0, "0", -1, "2m", "soon", 1.9, "1.5s", "", nil, true, "1h", "10000ms"},
		"renew_upstream":     {true, false, "1", "false", "no", nil, 2},
		"account":            {"team-a", " team-a ", "team-b", "", nil, 5, "a\nb", strings.Repeat("x", 257)},
		"idempotency_window": {"1h", 0, "0", "24h", -1, nil, "soon", 86400, "5m", 299},
		"metrics_prefix":     {"custom_plugin", "p1", "", "1st", "a-b", nil, 5, "_"},
	}
	roleValues = map[string][]any{
		"permissions": {"read", "read,write", " read , write ", []any{"read", "write"}, []any{" read ", ""}, "", ",", []any{}, nil, 5, []any{1, true},
			map[string]any{"a": 1}, []any{[]any{"x"}}, "a,b,a", true},
		"ttl":     {"1h", 3600, "90", "1d", "2d", 60, 0, "0s", -5, "", nil, "soon", 1.5, "1h30m", "100000h", true, []any{1}, "30s"},
		"max_ttl": {"2h", 7200, "1d", "30h", "40h", 0, "0", -1, "", nil, "later", 59, "1h", 3599.9, map[string]any{}},
		"name":    {"other", nil, 5},
	}
	// What a request can ask for of a role that has read and write.
	narrowValues = map[string][]any{
		"permissions": {"read", "write", "read,write", " write , ", []any{"write", ""}, "admin", []any{"read", "admin"}, "", ",", []any{}, nil, 5,
			map[string]any{"a": 1}},
		"ttl": {"10m", 60, "30s", "1h", "2d", "3d", 0, "", -1, nil, "soon", 1.5, []any{1}},
	}
	strange = map[string][]any{"surprise": {1, nil, "x"}, "zzz": {true}}
	paths   = []string{"", "config", "config/", "roles", "roles/", "roles/developer", "creds", "creds/", "creds/developer", "unknown", "roles/developer/", "creds/dev/x"}
	every   = []logical.Operation{logical.CreateOperation, logical.UpdateOperation, logical.PatchOperation, logical.ReadOperation,
		logical.ListOperation, logical.DeleteOperation, logical.HelpOperation, logical.RollbackOperation, logical.RenewOperation,
		logical.RevokeOperation, logical.AliasLookaheadOperation, logical.RotationOperation}
)

// generate makes a sequence. Most begin with a mount that works, so that what follows reaches far.
func generate(random *rand.Rand) []step {
	steps := []step{}
	if random.IntN(8) != 0 {
		config := map[string]any{"api_endpoint": "http://SERVICE", "api_key": "key-1", "renew_upstream": random.IntN(2) == 0}
		role := map[string]any{"permissions": "read,write", "ttl": pick(random, []any{"1h", 60, "2d"}), "max_ttl": pick(random, []any{0, "3d"})}
		steps = append(steps, step{operation: logical.CreateOperation, path: "config", data: config, lease: -1},
			step{operation: logical.CreateOperation, path: "roles/developer", data: role, lease: -1})
		if random.IntN(2) == 0 {
			steps = append(steps, step{operation: logical.ReadOperation, path: "creds/developer", lease: -1})
		}
	}
	for range 3 + random.IntN(6) {
		steps = append(steps, anyStep(random))
	}
	return steps
}

func anyStep(random *rand.Rand) step {
	s := step{lease: -1, faults: faultsFor(random)}
	name := pick(random, roleNames)
	if random.IntN(2) == 0 {
		name = "developer"
	}
	switch kind := random.IntN(100); {
	case kind < 12:
		s.operation, s.path, s.data = logical.CreateOperation, "config", some(random, configValues)
	case kind < 18:
		s.operation, s.path, s.data = logical.PatchOperation, "config", some(random, configValues)
	case kind < 22:
		s.operation, s.path = logical.ReadOperation, "config"
	case kind < 24:
		s.operation, s.path = logical.DeleteOperation, "config"
	case kind < 36:
		s.operation, s.path, s.data = logical.CreateOperation, "roles/"+name, some(random, roleValues)
	case kind < 43:
		s.operation, s.path, s.data = logical.PatchOperation, "roles/"+name, some(random, roleValues)
	case kind < 47:
		s.operation, s.path = logical.ReadOperation, "roles/"+name
	case kind < 49:
		s.operation, s.path = logical.DeleteOperation, "roles/"+name
	case kind < 53:
		s.operation, s.path = logical.ListOperation, "roles/"
		s.data = some(random, map[string][]any{"after": {"", "a", "dev", "zz", nil, 5}, "limit": {0, 1, 2, -1, "1", "x", nil, 1.9}})
	case kind < 70:
		s.operation, s.path = logical.ReadOperation, "creds/"+name
	case kind < 75:
		s.operation, s.path, s.data = logical.CreateOperation, "creds/"+name, some(random, narrowValues)
	case kind < 82:
		s.operation, s.lease = logical.RenewOperation, random.IntN(2)
	case kind < 90:
		s.operation, s.lease = logical.RevokeOperation, random.IntN(2)
	case kind < 93:
		s.operation, s.data = logical.RollbackOperation, map[string]any{"immediate": true}
	case kind < 95:
		s.operation, s.path = logical.HelpOperation, pick(random, paths)
	default:
		s.operation, s.path, s.data = pick(random, every), pick(random, paths), some(random, configValues)
	}
	if s.operation == logical.HelpOperation {
		// Vault asks for help with nothing but the path.
		s.data = nil
	}
	if s.lease >= 0 && random.IntN(10) == 0 {
		s.internal = pick(random, []map[string]any{{"secret_type": "other"}, {"secret_type": nil}, {"id": ""}, {"id": "gone"}, {"ttl": "x"},
			{"api_endpoint": "http://elsewhere.example.com"}, {"id": "a/b c?d"}, {"renew_upstream": true}})
	}
	if s.data != nil && random.IntN(12) == 0 {
		for name, value := range some(random, strange) {
			s.data[name] = value
		}
	}
	return s
}

// some picks values for a few of the fields.
func some(random *rand.Rand, values map[string][]any) map[string]any {
	picked := map[string]any{}
	for _, name := range sorted(values) {
		if random.IntN(3) == 0 {
			// The first values are good ones: half of the time one of them.
			choices := values[name]
			if random.IntN(2) == 0 {
				choices = choices[:min(2, len(choices))]
			}
			picked[name] = pick(random, choices)
		}
	}
	return picked
}

func pick[T any](random *rand.Rand, choices []T) T { return choices[random.IntN(len(choices))] }
