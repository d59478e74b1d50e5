package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// sequences sends the same generated requests to two engines and compares all that can be seen of them: status, body,
// storage, and what the token service was asked.
func sequences(arguments []string) error {
	flags := flag.NewFlagSet("sequences", flag.ContinueOnError)
	first := flags.String("a", "", "one engine's `BINARY`")
	second := flags.String("b", "", "the other's")
	count := flags.Uint64("count", 1000, "how many sequences")
	seed := flags.Uint64("seed", 0, "of the first sequence; 0 chooses one")
	workers := flags.Int("workers", 4, "sequences at once")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("seed %d\n", *seed)

	var hosts [2]*host
	for i, binary := range []string{*first, *second} {
		started, err := start(hclog.NewNullLogger(), []string{binary, "serve"})
		if err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		defer started.client.Kill()
		hosts[i] = started
	}
	var next, requests atomic.Uint64
	var waiting sync.WaitGroup
	failures := make([]error, *workers)
	answered := statistics{counts: map[string]int{}}
	for worker := range *workers {
		waiting.Go(func() {
			pair, err := newPair(hosts)
			for err == nil {
				number := next.Add(1) - 1
				if number >= *count {
					return
				}
				var done int
				if done, err = pair.run(*seed, number, &answered); err != nil {
					err = fmt.Errorf("seed %d, sequence %d: %w", *seed, number, err)
					// The others stop too.
					next.Store(*count)
				}
				requests.Add(uint64(done))
			}
			failures[worker] = err
		})
	}
	waiting.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	for _, line := range slices.Sorted(maps.Keys(answered.counts)) {
		fmt.Printf("%8d  %s\n", answered.counts[line], line)
	}
	fmt.Printf("%d sequences, %d requests, no difference\n", *count, requests.Load())
	return nil
}

type statistics struct {
	mutex  sync.Mutex
	counts map[string]int
}

func (s *statistics) add(line string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.counts[line]++
}

// pair is one mount of each engine, with a token service each.
type pair struct{ sides [2]*side }

type side struct {
	backend logical.Backend
	storage *logical.InmemStorage
	service *service
	// leases are the secrets that were handed out, with their data.
	leases []*logical.Response
	// stored are the keys of the sequence before, whose values the engine may remember.
	stored []string
}

func newPair(hosts [2]*host) (*pair, error) {
	p := &pair{}
	for i, h := range hosts {
		storage := &logical.InmemStorage{}
		config := settings(storage, hclog.NewNullLogger())
		config.System.(*logical.StaticSystemView).MaxLeaseTTLVal = 30 * time.Hour
		backend, err := h.mount(context.Background(), config)
		if err != nil {
			return nil, err
		}
		p.sides[i] = &side{backend: backend, storage: storage, service: newService()}
	}
	return p, nil
}

func (p *pair) run(seed, number uint64, answered *statistics) (int, error) {
	random := rand.New(rand.NewPCG(seed, number))
	for _, s := range p.sides {
		if err := s.reset(); err != nil {
			return 0, err
		}
	}
	history := []string{}
	for _, step := range generate(random) {
		var seen [2]outcome
		for i, s := range p.sides {
			s.service.plan(step.faults)
			var err error
			if seen[i], err = s.take(step); err != nil {
				return len(history), err
			}
		}
		history = append(history, step.String())
		if seen[0].text != seen[1].text {
			return len(history), fmt.Errorf("after\n  %s\nthe engines differ:\n  a: %s\n  b: %s", strings.Join(history, "\n  "), seen[0].text, seen[1].text)
		}
		answered.add(fmt.Sprintf("%s %s: %d", step.operation, kindOf(step.path), seen[0].status))
	}
	return len(history), nil
}

// reset leaves a mount as new.
func (s *side) reset() error {
	ctx := context.Background()
	for _, key := range s.stored {
		if err := s.storage.Delete(ctx, key); err != nil {
			return err
		}
		s.backend.InvalidateKey(ctx, key)
	}
	s.leases, s.stored = nil, nil
	s.service.reset()
	return nil
}

// outcome is everything that can be seen of a step.
type outcome struct {
	status int
	text   string
}

func (s *side) take(st step) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	data := map[string]any{}
	for name, value := range st.data {
		if text, ok := value.(string); ok {
			value = strings.ReplaceAll(text, "SERVICE", s.service.address)
		}
		data[name] = value
	}
	req := request(st.operation, st.path, data, s.storage)
	seen := map[string]any{}
	if st.lease >= 0 {
		if st.lease >= len(s.leases) {
			return outcome{0, "no such lease"}, nil
		}
		leased := s.leases[st.lease]
		secret := *leased.Secret
		secret.InternalData = maps.Clone(secret.InternalData)
		maps.Copy(secret.InternalData, st.internal)
		// Issued now: with a time, the age of the lease would depend on the instant at which each side looks at its clock.
		secret.IssueTime = time.Time{}
		req.Secret, req.Data = &secret, leased.Data
	}
	if st.operation == logical.CreateOperation {
		found, exists, err := s.backend.HandleExistenceCheck(ctx, req)
		seen["existence"] = []any{found, exists, textOf(err)}
		if exists || !found {
			req.Operation = logical.UpdateOperation
		}
	}
	response, err := s.backend.HandleRequest(ctx, req)
	status, _ := logical.RespondErrorCommon(req, response, err)
	if status == 0 {
		status = 200
	}
	seen["status"], seen["error"] = status, textOf(err)
	if response != nil {
		if st.operation == logical.HelpOperation {
			// Each writes its own sentences.
			response.Data = map[string]any{"see_also": response.Data["see_also"]}
		}
		if st.operation == logical.RollbackOperation && response.IsError() {
			// Each lists the entries that failed in its own words.
			response.Data = map[string]any{"error": "some entries failed"}
		}
		seen["data"], seen["warnings"] = response.Data, response.Warnings
		if secret := response.Secret; secret != nil {
			seen["secret"] = map[string]any{
				"ttl": secret.TTL.Seconds(), "max_ttl": secret.MaxTTL.Seconds(), "renewable": secret.Renewable,
				"internal_data": secret.InternalData,
			}
			if st.operation == logical.ReadOperation {
				s.leases = append(s.leases, response)
			}
		}
	}
	stored, err := s.dump(ctx)
	if err != nil {
		return outcome{}, err
	}
	seen["storage"], seen["service"] = stored, s.service.asked()
	text, err := json.Marshal(seen)
	return outcome{status, s.normal(string(text))}, err
}

// dump returns what is stored, write-ahead entries by their values alone.
func (s *side) dump(ctx context.Context) ([]any, error) {
	keys, err := logical.CollectKeys(ctx, s.storage)
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !slices.Contains(s.stored, key) {
			s.stored = append(s.stored, key)
		}
	}
	found := []any{}
	for _, key := range keys {
		entry, err := s.storage.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		var value any
		if err := json.Unmarshal(entry.Value, &value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if strings.HasPrefix(key, "wal/") {
			entry := value.(map[string]any)
			delete(entry, "created_at")
			if data, ok := entry["data"].(map[string]any); ok {
				delete(data, "planned_at")
			}
		}
		found = append(found, []any{key, value, entry.SealWrap})
	}
	// Ids are random, and so is their order.
	slices.SortStableFunc(found, func(a, b any) int { return strings.Compare(s.normal(fmt.Sprint(a)), s.normal(fmt.Sprint(b))) })
	return found, nil
}

var (
	ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	// What each says of a value that no field takes, in its own words; of several, Go names any.
	conversions = regexp.MustCompile(`error converting input for field \\"\w+\\": (?:[^"\\]|\\.)*`)
	// What each transport says of a broken connection.
	broken = regexp.MustCompile(`(the connection broke|no connection) \([^)]*\)`)
	// What exactly a response lacks.
	malformed = regexp.MustCompile(`(unexpected response) \([^)]*\)`)
	ended     = regexp.MustCompile(`the token ended at [0-9T:.Z-]+`)
	until     = regexp.MustCompile(`until [0-9T:.Z-]+, and is not found`)
	salted    = regexp.MustCompile(`sha256:[0-9a-f]{32}:[0-9a-f]{64}`)
)

// normal replaces what is random or each side's own.
func (s *side) normal(text string) string {
	text = strings.ReplaceAll(text, s.service.address, "SERVICE")
	text = ids.ReplaceAllString(text, "ID")
	text = conversions.ReplaceAllString(text, "error converting input")
	text = broken.ReplaceAllString(text, "$1 (…)")
	text = malformed.ReplaceAllString(text, "$1")
	text = until.ReplaceAllString(text, "until …, and is not found")
	text = salted.ReplaceAllString(text, "sha256:…")
	return ended.ReplaceAllString(text, "the token ended at …")
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// kindOf groups paths for the statistics.
func kindOf(path string) string {
	switch before, _, _ := strings.Cut(path, "/"); before {
	case "config", "roles", "creds", "":
		return before
	default:
		return "unknown"
	}
}
