package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
	"github.com/hashicorp/vault/sdk/plugin/mock"
)

// mockPlugin serves the SDK's own mock engine: what conformance asks of a foreign one, it must find in this one too.
func mockPlugin([]string) error {
	return plugin.ServeMultiplex(&plugin.ServeOpts{BackendFactoryFunc: mock.Factory})
}

// verdict is how one case ended.
type verdict struct {
	Case  string `json:"case"`
	Error string `json:"error,omitempty"`
}

// conformance asks a plugin that is the counterpart of the SDK's mock what the SDK's tests ask that one, through the
// official client. Every case has a process of its own.
func conformance(command []string) error {
	failed := 0
	for _, c := range cases {
		ended := verdict{Case: c.name}
		if err := inProcess(command, c.check); err != nil {
			ended.Error = err.Error()
			failed++
		}
		line, err := json.Marshal(ended)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(cases))
	}
	return nil
}

// subject is a mounted mock.
type subject struct {
	logical.Backend
	host    *host
	storage *watched
	log     *lines
}

func inProcess(command []string, check func(context.Context, *subject) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	log := &lines{}
	host, err := start(hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace, JSONFormat: true}), command, "CONFORMANCE=yes")
	if err != nil {
		return err
	}
	defer host.client.Kill()
	s := &subject{host: host, storage: &watched{Storage: &logical.InmemStorage{}}, log: log}
	if s.Backend, err = s.mount(ctx, s.storage); err != nil {
		return err
	}
	return check(ctx, s)
}

func (s *subject) mount(ctx context.Context, storage logical.Storage) (logical.Backend, error) {
	return s.host.mount(ctx, &logical.BackendConfig{
		Logger:      hclog.NewNullLogger(),
		StorageView: storage,
		System:      &logical.StaticSystemView{DefaultLeaseTTLVal: 300 * time.Second, MaxLeaseTTLVal: 1800 * time.Second},
	})
}

func (s *subject) ask(ctx context.Context, operation logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	return s.HandleRequest(ctx, &logical.Request{Operation: operation, Path: path, Data: data})
}

// value asks, and returns one field of the answer.
func (s *subject) value(ctx context.Context, operation logical.Operation, path string, data map[string]any, field string) (any, error) {
	response, err := accepted(s.ask(ctx, operation, path, data))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", operation, path, err)
	}
	if response == nil {
		return nil, fmt.Errorf("%s %s: no answer", operation, path)
	}
	return response.Data[field], nil
}

// expect compares by the text that both are in JSON.
func expect(what string, got, wanted any) error {
	a, err := json.Marshal(got)
	if err != nil {
		return err
	}
	b, err := json.Marshal(wanted)
	if err == nil && !bytes.Equal(a, b) {
		err = fmt.Errorf("%s: got %s, wanted %s", what, a, b)
	}
	return err
}

var foo = map[string]any{"value": "bar"}

var cases = []struct {
	name  string
	check func(context.Context, *subject) error
}{
	{"a request is handled", func(ctx context.Context, s *subject) error {
		value, err := s.value(ctx, logical.CreateOperation, "kv/foo", foo, "value")
		return errors.Join(err, expect("value", value, "bar"))
	}},
	{"what was written is read, listed and deleted", func(ctx context.Context, s *subject) error {
		_, err := s.ask(ctx, logical.CreateOperation, "kv/foo", foo)
		read, readErr := s.value(ctx, logical.ReadOperation, "kv/foo", nil, "value")
		keys, listErr := s.value(ctx, logical.ListOperation, "kv/", nil, "keys")
		_, deleteErr := s.ask(ctx, logical.DeleteOperation, "kv/foo", nil)
		gone, goneErr := s.ask(ctx, logical.ReadOperation, "kv/foo", nil)
		return errors.Join(err, readErr, listErr, deleteErr, goneErr, expect("value", read, "bar"), expect("keys", keys, []string{"foo"}),
			expect("after the deletion", gone, nil))
	}},
	{"special paths are known", func(_ context.Context, s *subject) error {
		paths := s.SpecialPaths()
		if paths == nil {
			return errors.New("none")
		}
		return errors.Join(expect("snapshot reads", paths.AllowSnapshotRead, []string{"kv/*", "kv"}),
			expect("unauthenticated", paths.Unauthenticated, []string{"special"}))
	}},
	{"every storage call of a request names its snapshot", func(ctx context.Context, s *subject) error {
		s.storage.snapshot = "abcd"
		ctx = logical.CreateContextWithSnapshotID(ctx, "abcd")
		for _, operation := range []logical.Operation{logical.CreateOperation, logical.ReadOperation, logical.ListOperation, logical.DeleteOperation} {
			path := "kv/foo"
			if operation == logical.ListOperation {
				path = "kv"
			}
			if _, err := accepted(s.ask(ctx, operation, path, foo)); err != nil {
				return fmt.Errorf("%s: %w", operation, err)
			}
		}
		return nil
	}},
	{"the system view is the host's", func(_ context.Context, s *subject) error {
		return expect("default lease", s.System().DefaultLeaseTTL(), 300*time.Second)
	}},
	{"what the engine logs reaches the host", func(ctx context.Context, s *subject) error {
		if s.Logger() == nil {
			return errors.New("no logger")
		}
		if _, err := s.ask(ctx, logical.CreateOperation, "kv/foo", foo); err != nil {
			return err
		}
		return s.log.wait(ctx, "storing value")
	}},
	{"existence is checked", func(ctx context.Context, s *subject) error {
		asked := &logical.Request{Operation: logical.CreateOperation, Path: "kv/foo", Data: foo}
		found, exists, err := s.HandleExistenceCheck(ctx, asked)
		_, writeErr := s.ask(ctx, logical.CreateOperation, "kv/foo", foo)
		foundAgain, existsNow, againErr := s.HandleExistenceCheck(ctx, asked)
		unchecked, _, noneErr := s.HandleExistenceCheck(ctx, &logical.Request{Operation: logical.CreateOperation, Path: "internal"})
		return errors.Join(err, writeErr, againErr, noneErr, expect("before", []bool{found, exists}, []bool{true, false}),
			expect("after", []bool{foundAgain, existsNow}, []bool{true, true}), expect("internal", unchecked, false))
	}},
	{"clean-up ends one mount and no other", func(ctx context.Context, s *subject) error {
		other, err := s.mount(ctx, &logical.InmemStorage{})
		if err != nil {
			return err
		}
		other.Cleanup(ctx)
		_, err = s.ask(ctx, logical.ReadOperation, "internal", nil)
		if _, gone := other.HandleRequest(ctx, &logical.Request{Operation: logical.ReadOperation, Path: "internal"}); gone == nil {
			err = errors.Join(err, errors.New("a mount that was cleaned up answers"))
		}
		s.Cleanup(ctx)
		return err
	}},
	{"an invalidated key is forgotten", func(ctx context.Context, s *subject) error {
		before, err := s.value(ctx, logical.ReadOperation, "internal", nil, "value")
		s.InvalidateKey(ctx, "another")
		kept, keptErr := s.value(ctx, logical.ReadOperation, "internal", nil, "value")
		s.InvalidateKey(ctx, "internal")
		after, afterErr := s.value(ctx, logical.ReadOperation, "internal", nil, "value")
		return errors.Join(err, keptErr, afterErr, expect("before", before, "bar"), expect("kept", kept, "bar"), expect("after", after, ""))
	}},
	{"a mount can be set up without storage", func(ctx context.Context, s *subject) error {
		// As Vault does when a plugin is registered.
		backend, err := s.host.mount(ctx, &logical.BackendConfig{Logger: hclog.NewNullLogger()})
		if err != nil {
			return err
		}
		return expect("type", backend.Type(), logical.TypeLogical)
	}},
	{"a mount is initialised", func(ctx context.Context, s *subject) error {
		return s.Initialize(ctx, &logical.InitializationRequest{})
	}},
	{"the version is reported", func(_ context.Context, s *subject) error {
		return expect("version", s.Backend.(logical.PluginVersioner).PluginVersion().Version, "v0.0.0+mock")
	}},
	{"mounts share a process and nothing else", func(ctx context.Context, s *subject) error {
		other, err := s.mount(ctx, &logical.InmemStorage{})
		if err != nil {
			return err
		}
		_, err = s.ask(ctx, logical.UpdateOperation, "internal", map[string]any{"value": "mine"})
		response, otherErr := other.HandleRequest(ctx, &logical.Request{Operation: logical.ReadOperation, Path: "internal"})
		if otherErr != nil {
			return otherErr
		}
		return errors.Join(err, expect("the other's", response.Data["value"], "bar"))
	}},
	{"an error keeps its kind", func(ctx context.Context, s *subject) error {
		var found error
		for kind, status := range map[int]int{0: 500, 1: 500, 2: 500, 3: 500, 4: 400, 5: 405, 6: 404, 7: 400, 8: 403} {
			asked := &logical.Request{Operation: logical.UpdateOperation, Path: "errors/type", Data: map[string]any{"err_type": kind}}
			response, err := s.HandleRequest(ctx, asked)
			if err == nil {
				found = errors.Join(found, fmt.Errorf("kind %d: no error", kind))
				continue
			}
			if kind < 5 && !strings.Contains(err.Error(), "test") {
				found = errors.Join(found, fmt.Errorf("kind %d: %w", kind, err))
			}
			if coded, is := err.(logical.HTTPCodedError); (kind == 3) != is || is && coded.Code() != 403 {
				found = errors.Join(found, fmt.Errorf("kind %d: coded %v", kind, err))
			}
			got, _ := logical.RespondErrorCommon(asked, response, err)
			found = errors.Join(found, expect(fmt.Sprintf("status of kind %d", kind), got, status))
		}
		return found
	}},
	{"a failure without a kind is an error", func(ctx context.Context, s *subject) error {
		_, err := s.ask(ctx, logical.ReadOperation, "errors/rpc", nil)
		if err == nil || !strings.Contains(err.Error(), "connection is shut down") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	}},
	{"what does not exist is said to", func(ctx context.Context, s *subject) error {
		_, path := s.ask(ctx, logical.ReadOperation, "nowhere", nil)
		_, operation := s.ask(ctx, logical.DeleteOperation, "special", nil)
		if !errors.Is(path, logical.ErrUnsupportedPath) || !errors.Is(operation, logical.ErrUnsupportedOperation) {
			return fmt.Errorf("path: %v; operation: %v", path, operation)
		}
		return nil
	}},
	{"a raw answer has its status, type and body", func(ctx context.Context, s *subject) error {
		response, err := s.ask(ctx, logical.ReadOperation, "raw", nil)
		if err != nil {
			return err
		}
		// Bytes are base64 on the wire.
		return expect("answer", response.Data, map[string]any{
			logical.HTTPContentType: "text/plain", logical.HTTPRawBody: []byte("Response"), logical.HTTPStatusCode: 200,
		})
	}},
	{"the environment is the one the host gave", func(ctx context.Context, s *subject) error {
		value, err := s.value(ctx, logical.ReadOperation, "env/CONFORMANCE", nil, "key")
		return errors.Join(err, expect("value", value, "yes"))
	}},
	{"storage that fails fails the request with its text", func(ctx context.Context, s *subject) error {
		s.storage.fail = errors.New("disk full")
		_, err := s.ask(ctx, logical.CreateOperation, "kv/foo", foo)
		if err == nil || !strings.Contains(err.Error(), "disk full") {
			return fmt.Errorf("got %v", err)
		}
		s.storage.fail = logical.ErrReadOnly
		_, err = s.ask(ctx, logical.CreateOperation, "kv/foo", foo)
		if err == nil || !strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
			return fmt.Errorf("read-only: got %v", err)
		}
		return nil
	}},
	{"a request that is given up ends", func(ctx context.Context, s *subject) error {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := s.ask(ended, logical.ReadOperation, "internal", nil); err == nil {
			return errors.New("answered")
		}
		_, err := s.ask(ctx, logical.ReadOperation, "internal", nil)
		return err
	}},
	{"a value of 16 MiB goes and comes", func(ctx context.Context, s *subject) error {
		large := strings.Repeat("x", 16<<20)
		_, err := s.ask(ctx, logical.CreateOperation, "kv/large", map[string]any{"value": large})
		if err != nil {
			return err
		}
		value, err := s.value(ctx, logical.ReadOperation, "kv/large", nil, "value")
		if err == nil && value != large {
			err = errors.New("another value came back")
		}
		return err
	}},
	{"a plugin that is told to end ends", func(_ context.Context, s *subject) error {
		began := time.Now()
		s.host.client.Kill()
		// The official client kills what has not ended after two seconds, and says so.
		if !s.host.client.Exited() || time.Since(began) > 2*time.Second || s.log.holds("failed to exit gracefully") {
			return errors.New("it had to be killed")
		}
		return nil
	}},
}

// watched is storage that can be told to fail, and to want a snapshot.
type watched struct {
	logical.Storage
	snapshot string
	fail     error
}

func (w *watched) allow(ctx context.Context) error {
	if snapshot, _ := logical.ContextSnapshotIDValue(ctx); snapshot != w.snapshot {
		return fmt.Errorf("snapshot %q instead of %q", snapshot, w.snapshot)
	}
	return w.fail
}

func (w *watched) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if err := w.allow(ctx); err != nil {
		return nil, err
	}
	return w.Storage.Get(ctx, key)
}

func (w *watched) List(ctx context.Context, prefix string) ([]string, error) {
	if err := w.allow(ctx); err != nil {
		return nil, err
	}
	return w.Storage.List(ctx, prefix)
}

func (w *watched) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if err := w.allow(ctx); err != nil {
		return err
	}
	return w.Storage.Put(ctx, entry)
}

func (w *watched) Delete(ctx context.Context, key string) error {
	if err := w.allow(ctx); err != nil {
		return err
	}
	return w.Storage.Delete(ctx, key)
}

// lines is a log that can be waited for.
type lines struct {
	mutex   sync.Mutex
	written []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.written = append(l.written, string(line))
	return len(line), nil
}

func (l *lines) holds(text string) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.ContainsFunc(l.written, func(line string) bool { return strings.Contains(line, text) })
}

func (l *lines) wait(ctx context.Context, text string) error {
	for !l.holds(text) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%q was never logged", text)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
