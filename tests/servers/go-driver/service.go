package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is what a token service does once in place of its work, or after it.
type fault struct {
	status      int
	contentType string
	body        string
	// after does the work first, so that the answer alone is wrong.
	after bool
	// drop ends the connection.
	drop bool
	// expires says when a token ends, in seconds from now, or as text.
	expires any
}

var faultKinds = []fault{
	{status: 400, contentType: "application/json", body: `{"error":"no"}`},
	{status: 401, contentType: "application/json", body: `{}`},
	{status: 403},
	{status: 404, contentType: "text/html", body: "<html>"},
	{status: 404, contentType: "application/json", body: `{}`},
	{status: 410, contentType: "application/problem+json; charset=utf-8", body: `{}`},
	{status: 409},
	{status: 422, contentType: "application/json"},
	{status: 500, body: "oops"},
	{status: 501},
	{status: 204, after: true},
	{status: 302},
	{status: 408},
	{status: 200, contentType: "application/json", body: `{"id": "x"`, after: true},
	{status: 200, contentType: "application/json", body: `{"id": "", "token": "t"}`, after: true},
	{status: 200, contentType: "application/json", body: `{"id": "..", "token": "t"}`},
	{status: 200, contentType: "application/json", body: `{"id": "a/b", "token": "t"}`},
	{status: 200, contentType: "application/json", body: `[]`},
	{drop: true, after: true},
	{expires: 120}, {expires: 30}, {expires: 100_000_000}, {expires: -60}, {expires: "tomorrow"}, {expires: json.RawMessage("5")},
}

// retried costs time, as both engines wait before they try again.
var retried = fault{status: 503}

func faultsFor(random *rand.Rand) []fault {
	switch kind := random.IntN(1000); {
	case kind < 150:
		return []fault{pick(random, faultKinds)}
	case kind < 170:
		return []fault{pick(random, faultKinds), pick(random, faultKinds)}
	case kind < 173:
		return []fault{retried}
	default:
		return nil
	}
}

// service is a token service as the README describes it, which remembers what it was asked.
type service struct {
	address string
	mutex   sync.Mutex
	faults  []fault
	calls   []string
	// tokens by idempotency key, and whether the one with an id lives.
	tokens map[string]string
	live   map[string]bool
}

func newService() *service {
	s := &service{}
	s.reset()
	s.address = strings.TrimPrefix(httptest.NewServer(s).URL, "http://")
	return s
}

func (s *service) reset() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults, s.calls, s.tokens, s.live = nil, nil, map[string]string{}, map[string]bool{}
}

// plan sets what goes wrong from now on.
func (s *service) plan(faults []fault) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults, s.calls = faults, nil
}

// asked returns the requests since the last plan.
func (s *service) asked() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.calls)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	body, _ := io.ReadAll(r.Body)
	key := r.Header.Get("Idempotency-Key")
	s.calls = append(s.calls, fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"),
		r.Header.Get("Content-Type"), key, body))
	var wrong *fault
	if len(s.faults) > 0 {
		wrong, s.faults = &s.faults[0], s.faults[1:]
	}
	if wrong == nil || wrong.after || wrong.expires != nil {
		status, answer := s.work(r, key)
		if wrong == nil || wrong.expires != nil {
			if wrong != nil && status == http.StatusOK {
				answer["expires_at"] = instant(wrong.expires)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(answer)
			return
		}
	}
	if wrong.drop {
		// The one way to end a connection without an answer.
		panic(http.ErrAbortHandler)
	}
	if wrong.contentType != "" {
		w.Header().Set("Content-Type", wrong.contentType)
	}
	if wrong.status == http.StatusFound {
		w.Header().Set("Location", "https://elsewhere.example.com:8443/secret")
	}
	w.WriteHeader(wrong.status)
	_, _ = io.WriteString(w, wrong.body)
}

func (s *service) work(r *http.Request, key string) (int, map[string]any) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	at := slices.Index(segments, "tokens")
	if at < 0 {
		return http.StatusNotFound, map[string]any{"error": "unknown path"}
	}
	switch rest := segments[at+1:]; {
	case r.Method == http.MethodPost && len(rest) == 0:
		id, known := s.tokens[key]
		if !known {
			id = fmt.Sprintf("tok-%d", len(s.tokens)+1)
			s.tokens[key], s.live[id] = id, true
		}
		return http.StatusOK, map[string]any{"id": id, "token": "secret of " + id}
	case r.Method == http.MethodPost && len(rest) == 2 && s.live[rest[0]]:
		return http.StatusOK, map[string]any{}
	case r.Method == http.MethodDelete && len(rest) == 1 && s.live[rest[0]]:
		s.live[rest[0]] = false
		return http.StatusOK, map[string]any{}
	default:
		return http.StatusNotFound, map[string]any{"error": "no such token"}
	}
}

// instant is a time so many seconds from now, a little less, so that rounding up gives the same for both engines.
func instant(expires any) any {
	if seconds, ok := expires.(int); ok {
		return time.Now().Add(time.Duration(seconds)*time.Second - time.Millisecond).UTC().Format(time.RFC3339Nano)
	}
	return expires
}

func sorted[V any](values map[string]V) []string { return slices.Sorted(maps.Keys(values)) }
