package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-cleanhttp"
)

const (
	// retryAllowance is the time for retries beyond the first request of a call.
	retryAllowance = 15 * time.Second
	maxAttempts    = 5
	firstPause     = 200 * time.Millisecond
	maxBody        = 1 << 20
)

// upstream is a client of one token service.
type upstream struct {
	http     *http.Client
	endpoint string
	bearer   string
	patience time.Duration
}

// order is the token that is asked for. The service recognizes the same order by its idempotency key.
type order struct {
	Name           string   `json:"name"`
	Permissions    []string `json:"permissions"`
	TTL            int64    `json:"ttl"`
	IdempotencyKey string   `json:"idempotency_key"`
	// Body is sent again to the byte.
	Body string `json:"body,omitempty"`
}

func newOrder(role string, permissions []string, ttl int64) (order, error) {
	o := order{Name: fmt.Sprintf("vault-%s-%s", role, uuid.NewString()), Permissions: permissions, TTL: ttl, IdempotencyKey: uuid.NewString()}
	var err error
	o.Body, err = o.toBody()
	return o, err
}

func (o *order) toBody() (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Name        string   `json:"name"`
		Permissions []string `json:"permissions"`
		TTL         int64    `json:"ttl"`
	}{o.Name, o.Permissions, o.TTL})
	return strings.TrimSuffix(text.String(), "\n"), err
}

// mintedToken is a token that the service made.
type mintedToken struct {
	ID        string          `json:"id"`
	Token     string          `json:"token"`
	ExpiresAt json.RawMessage `json:"expires_at"`
}

// upstreamError says why a call failed, and whether the service certainly did nothing.
type upstreamError struct {
	action, endpoint, trouble string
	status                    int
	nothingDone               bool
}

func (e *upstreamError) Error() string {
	return fmt.Sprintf("cannot %s at %s: %s", e.action, e.endpoint, e.trouble)
}

func newUpstream(c *config) (*upstream, error) {
	transport := cleanhttp.DefaultPooledTransport()
	// As many as there may be callers: what is not kept is connected anew.
	transport.MaxIdleConnsPerHost = 256
	transport.MaxIdleConns = 256
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.TLSSkipVerify}
	if strings.TrimSpace(c.CACert) != "" {
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM([]byte(c.CACert)) {
			return nil, &upstreamError{action: "set up the connection to the token service", endpoint: c.APIEndpoint,
				trouble: "ca_cert holds no certificate in PEM", nothingDone: true}
		}
		transport.TLSClientConfig.RootCAs = authorities
	}
	timeout := time.Duration(c.RequestTimeout) * time.Second
	return &upstream{
		http: &http.Client{
			Transport:     transport,
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		endpoint: c.APIEndpoint,
		bearer:   "Bearer " + c.APIKey,
		patience: timeout + retryAllowance,
	}, nil
}

// mint asks for a token. Unless repeat is set, a request that may have minted is not sent again.
func (u *upstream) mint(ctx context.Context, o *order, repeat bool) (*mintedToken, error) {
	const action = "mint a token"
	body := o.Body
	if body == "" {
		var err error
		if body, err = o.toBody(); err != nil {
			return nil, err
		}
	}
	r, err := u.accepted(u.send(ctx, call{action, http.MethodPost, below(u.endpoint, "tokens"), o.IdempotencyKey, []byte(body), repeat}))
	if err != nil {
		return nil, err
	}
	answer := &mintedToken{}
	if err := json.Unmarshal(r.body, answer); err != nil || answer.Token == "" || !addressable(answer.ID) {
		return nil, u.failed(action, malformed, 0, false)
	}
	return answer, nil
}

// addressable says whether a token with this id has an address of its own.
func addressable(id string) bool { return id != "" && id != "." && id != ".." }

func (u *upstream) renew(ctx context.Context, id string, ttl int64) (json.RawMessage, error) {
	const action = "renew a token"
	body := []byte(`{"ttl":` + strconv.FormatInt(ttl, 10) + `}`)
	r, err := u.accepted(u.send(ctx, call{action, http.MethodPost, below(u.endpoint, "tokens", id, "renew"), "", body, true}))
	if err != nil || len(r.body) == 0 {
		return nil, err
	}
	answer := mintedToken{}
	if json.Unmarshal(r.body, &answer) != nil {
		return nil, u.failed(action, malformed, 0, false)
	}
	return answer.ExpiresAt, nil
}

// revoke revokes a token. A 404 or 410 means that it is gone, if it is the service that says so, in JSON.
func (u *upstream) revoke(ctx context.Context, path string) error {
	const action = "revoke a token"
	r, err := u.send(ctx, call{action, http.MethodDelete, u.endpoint + "/" + path, "", nil, true})
	if err == nil && (r.status == http.StatusNotFound || r.status == http.StatusGone) {
		if isJSON(r.header) {
			return nil
		}
		return u.failed(action, fmt.Sprintf("status %s comes from something before the service, such as a proxy; check api_endpoint",
			statusText(r.status)), r.status, r.nothingDone)
	}
	_, err = u.accepted(r, err)
	return err
}

type call struct {
	action, method, url, idempotencyKey string
	body                                []byte
	repeatAfterEffect                   bool
}

type reply struct {
	action      string
	status      int
	header      http.Header
	body        []byte
	nothingDone bool
}

// send sends a call, again after failed connections, 429 (not before Retry-After) and 502 to 504.
func (u *upstream) send(ctx context.Context, c call) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, u.patience)
	defer cancel()
	deadline, _ := ctx.Deadline()
	nothingDone := true
	for attempt := 0; ; attempt++ {
		r, err := u.attempt(ctx, c)
		var failed *upstreamError
		pause, again := time.Duration(0), false
		switch {
		case err == nil:
			nothingDone = nothingDone && r.nothingDone
			r.nothingDone = nothingDone
			if again = r.status == http.StatusTooManyRequests || r.status >= 502 && r.status <= 504; again {
				pause, _ = retryAfter(r.header, time.Now())
			}
		case errors.As(err, &failed):
			// Only a connection that was never made is tried again.
			again = failed.nothingDone
			nothingDone = nothingDone && failed.nothingDone
			failed.nothingDone = nothingDone
		}
		again = again && (nothingDone || c.repeatAfterEffect)
		pause = max(pause, time.Duration(float64(firstPause<<attempt)*(0.5+rand.Float64()/2)))
		if !again || attempt+1 >= maxAttempts || pause >= time.Until(deadline) {
			return r, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r, err
		}
	}
}

func (u *upstream) attempt(ctx context.Context, c call) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	// With it net/http would send a request with an idempotency key again by itself, past all that is decided here.
	req.GetBody = nil
	req.Header.Set("Authorization", u.bearer)
	if c.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", c.idempotencyKey)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	response, err := u.http.Do(req)
	if err != nil {
		return nil, u.unanswered(c.action, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, u.failed(c.action, fmt.Sprintf("the connection broke (%v)", err), 0, false)
	}
	if len(body) > maxBody {
		return nil, u.failed(c.action, "the response is longer than 1 MiB; check that api_endpoint is the token service", 0, false)
	}
	status := response.StatusCode
	nothingDone := status >= 300 && status < 500 && status != http.StatusRequestTimeout
	return &reply{c.action, status, response.Header, body, nothingDone}, nil
}

// unanswered explains the end of an exchange without an answer. The causes of net/http name the address, which is in the
// message already.
func (u *upstream) unanswered(action string, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return u.failed(action, fmt.Sprintf("no connection (%v); check api_endpoint and whether the service runs", dial.Err), 0, true)
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return u.failed(action, fmt.Sprintf("its certificate is not trusted (%v); set ca_cert to the CA that signed it, or "+
			"check api_endpoint", certificate.Err), 0, true)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return u.failed(action, "no response in time; check the service, or set a longer request_timeout", 0, false)
	}
	return u.failed(action, fmt.Sprintf("the connection broke (%v)", err), 0, false)
}

const malformed = "unexpected response; check that api_endpoint is the token service"

func (u *upstream) accepted(r *reply, err error) (*reply, error) {
	if err != nil || r.status >= 200 && r.status < 300 {
		return r, err
	}
	text := statusText(r.status)
	var trouble string
	switch {
	case r.status >= 300 && r.status < 400:
		trouble = fmt.Sprintf("it redirects to %s; redirects are not followed with the key. Set api_endpoint to the target", locationHost(r))
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		trouble = fmt.Sprintf("the key is refused (status %s); set a valid api_key with the permissions for this", text)
	case r.status == http.StatusNotFound:
		trouble = "not found (status 404); check that api_endpoint is the token service and that it can do this"
	case r.status == http.StatusTooManyRequests:
		wait := "; try again later"
		if pause, said := retryAfter(r.header, time.Now()); said {
			wait = fmt.Sprintf("; it asks to wait %ds", int(pause.Seconds()))
		}
		trouble = "too many requests (status 429)" + wait
	case r.status >= 400 && r.status < 500:
		trouble = fmt.Sprintf("the service refused the request (status %s); check the role's permissions and ttl", text)
	default:
		trouble = fmt.Sprintf("the service failed (status %s); see its logs", text)
	}
	return nil, u.failed(r.action, trouble, r.status, r.nothingDone)
}

func (u *upstream) failed(action, trouble string, status int, nothingDone bool) *upstreamError {
	return &upstreamError{action, u.endpoint, trouble, status, nothingDone}
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// locationHost returns host and port that a redirect leads to; the rest of the address may hold secrets.
func locationHost(r *reply) string {
	location := r.header.Get("Location")
	if location == "" {
		return "nowhere"
	}
	parsed, err := url.Parse(location)
	if err != nil || !parsed.IsAbs() {
		return "another path of the same host"
	}
	return parsed.Host
}

// retryAfter returns what the service asks to wait, and whether it asks: a number of seconds, or until a date.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(date.Sub(now), 0), true
}

func isJSON(header http.Header) bool {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}
