package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	configKey             = "config"
	defaultRequestTimeout = 30
	longestRequestTimeout = 60
	// A day, in seconds.
	defaultIdempotencyWindow = 24 * 60 * 60
	// In seconds: while it is younger, the request itself may repeat its mint.
	minIdempotencyWindow = 5 * 60
	maxAccountLength     = 256
	defaultMetricsPrefix = "custom_plugin"
	longestMetricsPrefix = 64
)

var metricsPrefix = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// config says how the token service is reached, as stored.
type config struct {
	APIEndpoint string `json:"api_endpoint"`
	Account     string `json:"account"`
	// UnnamedAccount is the account of the tokens that were minted while Account was empty: the first name that was given.
	UnnamedAccount    string `json:"unnamed_account,omitempty"`
	APIKey            string `json:"api_key"`
	CACert            string `json:"ca_cert"`
	TLSSkipVerify     bool   `json:"tls_skip_verify"`
	RequestTimeout    int    `json:"request_timeout"`
	RenewUpstream     bool   `json:"renew_upstream"`
	IdempotencyWindow int    `json:"idempotency_window"`
	MetricsPrefix     string `json:"metrics_prefix"`
}

// warnings is what the writer of the configuration should know of it, where it takes the place of another.
func (c *config) warnings(before *config, mount string) []string {
	warnings := []string{}
	if before.APIKey != "" && c.reaches(before.APIEndpoint, before.Account) != nil {
		warnings = append(warnings, fmt.Sprintf("leases minted at %s are renewed and revoked only while config has this connection. Revoke them "+
			"before changing it: vault lease revoke -prefix %screds", before.shownConnection(), mount))
	}
	if host := hostOf(c.APIEndpoint); strings.HasPrefix(c.APIEndpoint, "http://") && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		warnings = append(warnings, "api_endpoint begins with http://: the key and every token are sent unencrypted")
	}
	if c.TLSSkipVerify {
		warnings = append(warnings, "tls_skip_verify is set: an attacker who can redirect the connection gets the key and every token")
	}
	return warnings
}

// repeatsMints says whether a mint without an answer may be sent again.
func (c *config) repeatsMints() bool { return c.IdempotencyWindow >= minIdempotencyWindow }

func hostOf(endpoint string) string {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// warned is the answer to a write: nothing, unless there is something to say.
func warned(warnings []string) *logical.Response {
	if len(warnings) == 0 {
		return nil
	}
	return &logical.Response{Warnings: warnings}
}

// reaches says whether this configuration reaches the tokens of an endpoint and an account. A token without an account belongs to
// the account that its key was named with first.
func (c *config) reaches(endpoint, account string) error {
	if account == "" {
		account = c.UnnamedAccount
	}
	sameAccount := c.Account == account
	if c.APIEndpoint == endpoint && sameAccount {
		return nil
	}
	configured, cure := c.shownConnection(), ""
	switch {
	case sameAccount:
	case account == "":
		cure = ` account=""`
	default:
		cure = " account=" + account
	}
	return fmt.Errorf("the token was minted at %s, and the configuration is for %s; nothing was sent. Configure the connection that "+
		"minted it: api_endpoint=%s%s with its api_key", endpoint, configured, endpoint, cure)
}

func (c *config) shownConnection() string {
	if c.Account == "" {
		return c.APIEndpoint
	}
	return c.APIEndpoint + ", account " + c.Account
}

// pathListConfig lists the connections. The twin has one.
func (b *backend) pathListConfig() *framework.Path {
	return &framework.Path{
		Pattern: "config/",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{Callback: listConfig, Summary: "List the connections."},
		},
		HelpSynopsis:    "List the connections.",
		HelpDescription: "Lists the names of the connections. The one at config is called default.",
	}
}

func listConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return logical.ListResponse(nil), nil
	}
	return logical.ListResponse([]string{"default"}), nil
}

func (b *backend) pathConfig() *framework.Path {
	return &framework.Path{
		Pattern: configKey,
		Fields: map[string]*framework.FieldSchema{
			"api_endpoint": {
				Type:        framework.TypeString,
				Required:    true,
				Description: "Address of the token service, http or https; /tokens is added to it.",
			},
			"api_key": {
				Type:         framework.TypeString,
				Required:     true,
				Description:  "Key sent to the service as bearer token. Never shown.",
				DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
			},
			"account": {
				Type: framework.TypeString,
				Description: "Name of the account that the key belongs to, where the service has several. A lease is renewed and revoked " +
					"only while the configuration names the endpoint and the account that its token was minted with. The first name " +
					"is also that of the tokens minted before it; it is given while api_key stays. Default none.",
			},
			"ca_cert": {
				Type:        framework.TypeString,
				Description: "Authorities to trust instead of the system's, in PEM. Empty for the system's.",
			},
			"tls_skip_verify": {
				Type:        framework.TypeBool,
				Description: "Whether any certificate of the service is accepted. For tests only. Default false.",
			},
			"request_timeout": {
				Type:        framework.TypeDurationSecond,
				Description: "Time that one request to the service may take, 1s to 60s. Default 30s.",
			},
			"renew_upstream": {
				Type: framework.TypeBool,
				Description: "Whether the service renews tokens (POST tokens/ID/renew). If so a token is minted for the role's ttl " +
					"and renewed with its lease, else it is minted for the longest time its lease can reach. Default false.",
			},
			"idempotency_window": {
				Type: framework.TypeDurationSecond,
				Description: "Time for which the service recognizes a repeated Idempotency-Key, so that a request without an answer is " +
					"repeated to find its token, by rollback until 10m before its end. At least 5m, or 0 if it knows no such keys: then no " +
					"request is repeated that may have minted. Default 24h.",
			},
			// The twin serves no metrics; its configuration is the same all the same.
			"metrics_prefix": {
				Type: framework.TypeString,
				Description: "What the names of the metrics begin with: letters, digits and _, for example custom_plugin in " +
					"custom_plugin_creds_read. Default custom_plugin.",
			},
		},
		ExistenceCheck: func(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
			entry, err := req.Storage.Get(ctx, configKey)
			return entry != nil, err
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeConfig, Summary: "Configure the token service."},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeConfig, Summary: "Change the configuration."},
			logical.PatchOperation:  &framework.PathOperation{Callback: b.patchConfig, Summary: "Change single fields; null takes a field back to its default."},
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readConfig, Summary: "Show the configuration without the key."},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteConfig, Summary: "Forget the configuration. Leased tokens cannot be revoked without it."},
		},
		HelpSynopsis: "Configure the token service.",
		HelpDescription: "Holds the address of the token service and the key with which this mount asks it for tokens. A write " +
			"changes the fields it names and keeps the others. The key is never shown; api_key_sha256 is a salted " +
			"hash of it (sha256:SALT:DIGEST).",
	}
}

func storedConfig(ctx context.Context, storage logical.Storage) (*config, error) {
	entry, err := storage.Get(ctx, configKey)
	if err != nil || entry == nil {
		return nil, err
	}
	c := &config{IdempotencyWindow: defaultIdempotencyWindow}
	return c, entry.DecodeJSON(c)
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil || c == nil {
		return nil, err
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(slices.Clone(salt), c.APIKey...))
	return &logical.Response{Data: map[string]any{
		"api_endpoint":       c.APIEndpoint,
		"api_key_sha256":     fmt.Sprintf("sha256:%x:%x", salt, sum),
		"account":            c.Account,
		"ca_cert":            c.CACert,
		"tls_skip_verify":    c.TLSSkipVerify,
		"request_timeout":    c.RequestTimeout,
		"renew_upstream":     c.RenewUpstream,
		"idempotency_window": c.IdempotencyWindow,
		"metrics_prefix":     c.MetricsPrefix,
	}}, nil
}

func (b *backend) writeConfig(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &config{RequestTimeout: defaultRequestTimeout, IdempotencyWindow: defaultIdempotencyWindow, MetricsPrefix: defaultMetricsPrefix}
	}
	return b.changeConfig(ctx, req, data, c)
}

func (b *backend) patchConfig(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	c, err := storedConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, logical.CodedError(404,
			fmt.Sprintf("there is no configuration to patch; write it first: vault write %sconfig …", req.MountPoint))
	}
	return b.changeConfig(ctx, req, data, c)
}

func (b *backend) changeConfig(ctx context.Context, req *logical.Request, data *framework.FieldData, c *config) (*logical.Response, error) {
	before := *c
	apply(req, data, "api_endpoint", &c.APIEndpoint, "")
	if strings.TrimSpace(c.APIEndpoint) == "" {
		return logical.ErrorResponse("api_endpoint is required"), nil
	}
	var err error
	if c.APIEndpoint, err = parseEndpoint(c.APIEndpoint); err != nil {
		return logical.ErrorResponse(err.Error()), nil
	}
	apply(req, data, "api_key", &c.APIKey, "")
	apply(req, data, "account", &c.Account, "")
	apply(req, data, "ca_cert", &c.CACert, "")
	apply(req, data, "tls_skip_verify", &c.TLSSkipVerify, false)
	apply(req, data, "request_timeout", &c.RequestTimeout, defaultRequestTimeout)
	apply(req, data, "renew_upstream", &c.RenewUpstream, false)
	apply(req, data, "idempotency_window", &c.IdempotencyWindow, defaultIdempotencyWindow)
	apply(req, data, "metrics_prefix", &c.MetricsPrefix, defaultMetricsPrefix)

	if c.APIKey == "" {
		return logical.ErrorResponse("api_key is required"), nil
	}
	if strings.ContainsFunc(c.APIKey, func(letter rune) bool { return letter <= ' ' || letter > '~' }) {
		return logical.ErrorResponse("api_key contains a space, a line break or another character that is invalid in an HTTP header; write the key alone"), nil
	}
	if c.RequestTimeout < 1 || c.RequestTimeout > longestRequestTimeout {
		return logical.ErrorResponse("request_timeout must be between 1s and %ds, not %ds", longestRequestTimeout, c.RequestTimeout), nil
	}
	if c.IdempotencyWindow != 0 && c.IdempotencyWindow < minIdempotencyWindow {
		return logical.ErrorResponse("idempotency_window must be 0 or at least 5m, not %ds", c.IdempotencyWindow), nil
	}
	c.Account = strings.TrimSpace(c.Account)
	if len(c.Account) > maxAccountLength || strings.ContainsFunc(c.Account, unicode.IsControl) {
		return logical.ErrorResponse("account must be at most %d bytes, without control characters", maxAccountLength), nil
	}
	if refused := c.nameAccount(&before); refused != "" {
		return logical.ErrorResponse(refused), nil
	}
	if len(c.MetricsPrefix) > longestMetricsPrefix || !metricsPrefix.MatchString(c.MetricsPrefix) {
		return logical.ErrorResponse("metrics_prefix must be 1 to %d letters, digits and _, and not begin with a digit", longestMetricsPrefix), nil
	}
	// Sets up TLS, so that a certificate that cannot be used is refused here and not at the first token.
	if _, err := b.upstreamFor(c); err != nil {
		return logical.ErrorResponse(err.Error()), nil
	}
	entry, err := logical.StorageEntryJSON(configKey, c)
	if err != nil {
		return nil, err
	}
	entry.SealWrap = true
	if err := req.Storage.Put(ctx, entry); err != nil {
		b.disconnect()
		return nil, err
	}
	return warned(c.warnings(&before, req.MountPoint)), nil
}

// nameAccount keeps the account of the tokens that were minted while none was named. Only the key of that time can show which one it
// is. So it is named while the key stays, and not forgotten with another key.
func (c *config) nameAccount(before *config) (refused string) {
	sameKey := before.APIKey == c.APIKey
	switch {
	case before.APIKey == "":
	case before.Account == "" && c.Account != "" && sameKey:
		c.UnnamedAccount = c.Account
	case before.Account == "" && c.Account != "":
		return "account and api_key cannot change together while no account is named: the tokens minted so far belong to the account of " +
			"the present api_key. Name that one first, with account alone"
	case c.Account != "" || before.UnnamedAccount == "":
	case sameKey && before.Account == before.UnnamedAccount:
		c.UnnamedAccount = ""
	default:
		return fmt.Sprintf("account cannot be emptied: the tokens minted without one belong to account %s. Name the account of the api_key",
			before.UnnamedAccount)
	}
	return ""
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	if err := req.Storage.Delete(ctx, configKey); err != nil {
		return nil, err
	}
	b.disconnect()
	return nil, nil
}
