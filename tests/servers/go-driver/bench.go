package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// clockTick is the unit of the processor times in /proc, the same on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// handshakes are enough for a median that a busy moment of the machine does not move.
const handshakes = 51

// measured is what one run found.
type measured struct {
	HandshakeMs float64         `json:"handshake_ms"`
	Idle        memory          `json:"idle"`
	ManyMounts  memory          `json:"many_mounts"`
	Loaded      memory          `json:"loaded"`
	Loads       map[string]load `json:"loads"`
	LargeMs     float64         `json:"large_ms"`
	// LargePluginMs is the plugin's processor time for the same.
	LargePluginMs float64 `json:"large_plugin_ms"`
}

// memory is what a process has of it, in kilobytes, as the kernel counts it.
type memory struct {
	ResidentKB int `json:"resident_kb"`
	// AnonymousKB is what is in no file: the kernel can take the rest, and all processes of a binary share it.
	AnonymousKB int `json:"anonymous_kb"`
}

// load is what so many callers at once saw, and what a request cost in processor time.
type load struct {
	PerSecond float64 `json:"per_second"`
	P50Us     float64 `json:"p50_us"`
	P99Us     float64 `json:"p99_us"`
	P999Us    float64 `json:"p999_us"`
	PluginUs  float64 `json:"plugin_us"`
	HostUs    float64 `json:"host_us"`
	// HostCalls are what a request asked of the host: storage and settings.
	HostCalls float64 `json:"host_calls"`
}

func bench(arguments []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	endpoint := flags.String("endpoint", "", "address of the token service")
	key := flags.String("key", "", "`FILE` with its key")
	seconds := flags.Float64("seconds", 5, "how long each load lasts")
	total := flags.Int("total", 100_000, "credentials to read before the memory is read again")
	mounts := flags.Int("mounts", 50, "mounts in one process")
	callers := flags.String("callers", "1,8,64", "how many callers at once, one load for each")
	only := flags.String("only", "", "the loads only, on this `PATH` instead of creds/developer; an error response counts as an answer")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	apiKey, err := os.ReadFile(*key)
	if err != nil {
		return err
	}
	b := &benchmark{command: flags.Args(), endpoint: *endpoint, key: strings.TrimSpace(string(apiKey)), path: "creds/developer"}
	if *only != "" {
		b.path, b.refused = *only, true
	}
	found := measured{Loads: map[string]load{}}
	if *only == "" {
		if found.HandshakeMs, err = b.handshake(); err != nil {
			return err
		}
		if found.ManyMounts, err = b.manyMounts(*mounts); err != nil {
			return err
		}
	}

	engine, err := b.engine()
	if err != nil {
		return err
	}
	defer engine.host.client.Kill()
	if found.Idle, err = memoryOf(engine.host.pid); err != nil {
		return err
	}
	if err := engine.configure(b); err != nil {
		return err
	}
	done := 0
	for _, text := range strings.Split(*callers, ",") {
		count, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		// Connections and caches are made before it counts.
		if _, _, err := b.load(engine, count, time.Second); err != nil {
			return err
		}
		result, requests, err := b.load(engine, count, time.Duration(*seconds*float64(time.Second)))
		if err != nil {
			return err
		}
		found.Loads[text] = result
		done += requests
	}
	if *only == "" {
		for done < *total {
			_, requests, err := b.load(engine, 8, time.Second)
			if err != nil {
				return err
			}
			done += requests
		}
		if found.Loaded, err = memoryOf(engine.host.pid); err != nil {
			return err
		}
		if found.LargeMs, found.LargePluginMs, err = engine.large(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

type benchmark struct {
	command  []string
	endpoint string
	key      string
	path     string
	refused  bool
}

// mounted is a mount of an engine in a process of its own.
type mounted struct {
	host    *host
	backend logical.Backend
	storage *counted
}

func (b *benchmark) engine() (*mounted, error) {
	host, err := start(hclog.NewNullLogger(), b.command)
	if err != nil {
		return nil, err
	}
	storage := &counted{}
	config := settings(storage, hclog.NewNullLogger())
	storage.StaticSystemView = *config.System.(*logical.StaticSystemView)
	config.System = storage
	backend, err := host.mount(context.Background(), config)
	if err == nil {
		err = backend.Initialize(context.Background(), &logical.InitializationRequest{Storage: storage})
	}
	if err != nil {
		host.client.Kill()
		return nil, err
	}
	return &mounted{host, backend, storage}, nil
}

func (m *mounted) configure(b *benchmark) error {
	for path, data := range map[string]map[string]any{
		"config":          {"api_endpoint": b.endpoint, "api_key": b.key},
		"roles/developer": {"permissions": "read,write", "ttl": "1h"},
	} {
		if _, err := accepted(m.backend.HandleRequest(context.Background(), request(logical.UpdateOperation, path, data, m.storage))); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// handshake returns the median time from the start of a process to a connection.
func (b *benchmark) handshake() (float64, error) {
	times := make([]time.Duration, 0, handshakes)
	for range handshakes {
		began := time.Now()
		host, err := start(hclog.NewNullLogger(), b.command)
		if err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
		host.client.Kill()
	}
	slices.Sort(times)
	return times[len(times)/2].Seconds() * 1e3, nil
}

func (b *benchmark) manyMounts(count int) (memory, error) {
	host, err := start(hclog.NewNullLogger(), b.command)
	if err != nil {
		return memory{}, err
	}
	defer host.client.Kill()
	for range count {
		storage := &counted{}
		backend, err := host.mount(context.Background(), settings(storage, hclog.NewNullLogger()))
		if err != nil {
			return memory{}, err
		}
		// One request each: a mount that was never used is not one.
		if err := (&mounted{host, backend, storage}).configure(b); err != nil {
			return memory{}, err
		}
	}
	return memoryOf(host.pid)
}

// load lets callers ask for credentials as fast as they are answered, and returns how many they got.
func (b *benchmark) load(m *mounted, callers int, lasting time.Duration) (load, int, error) {
	var stop atomic.Bool
	var waiting sync.WaitGroup
	times := make([][]time.Duration, callers)
	failures := make([]error, callers)
	pluginBefore, err := processor(m.host.pid)
	if err != nil {
		return load{}, 0, err
	}
	hostBefore, callsBefore := ownProcessor(), m.storage.calls.Load()
	began := time.Now()
	for caller := range callers {
		waiting.Go(func() {
			for !stop.Load() {
				asked := time.Now()
				response, err := m.backend.HandleRequest(context.Background(), request(logical.ReadOperation, b.path, nil, m.storage))
				if err == nil && response == nil {
					err = errors.New("no answer")
				}
				if err == nil && response.IsError() != b.refused {
					err = fmt.Errorf("answered with %v", response.Error())
				}
				if err != nil {
					failures[caller] = err
					return
				}
				times[caller] = append(times[caller], time.Since(asked))
			}
		})
	}
	time.Sleep(lasting)
	stop.Store(true)
	waiting.Wait()
	elapsed := time.Since(began)
	hostTime := ownProcessor() - hostBefore
	pluginAfter, err := processor(m.host.pid)
	if err := errors.Join(append(failures, err)...); err != nil {
		return load{}, 0, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	count := len(all)
	at := func(share float64) float64 {
		return float64(all[min(int(share*float64(count)), count-1)].Nanoseconds()) / 1e3
	}
	each := func(total time.Duration) float64 { return float64(total.Nanoseconds()) / 1e3 / float64(count) }
	return load{
		PerSecond: float64(count) / elapsed.Seconds(),
		P50Us:     at(0.5),
		P99Us:     at(0.99),
		P999Us:    at(0.999),
		PluginUs:  each(pluginAfter - pluginBefore),
		HostUs:    each(hostTime),
		HostCalls: float64(m.storage.calls.Load()-callsBefore) / float64(count),
	}, count, nil
}

// large returns the median time to write and read a role of 4 MiB, and the plugin's processor time for one.
func (m *mounted) large() (float64, float64, error) {
	const rounds = 21
	data := map[string]any{"permissions": []string{strings.Repeat("x", 4<<20)}}
	times := make([]time.Duration, 0, rounds)
	before, err := processor(m.host.pid)
	if err != nil {
		return 0, 0, err
	}
	for range rounds {
		began := time.Now()
		for _, asked := range []*logical.Request{
			request(logical.UpdateOperation, "roles/large", data, m.storage),
			request(logical.ReadOperation, "roles/large", nil, m.storage),
		} {
			if _, err := accepted(m.backend.HandleRequest(context.Background(), asked)); err != nil {
				return 0, 0, err
			}
		}
		times = append(times, time.Since(began))
	}
	after, err := processor(m.host.pid)
	if err != nil {
		return 0, 0, err
	}
	slices.Sort(times)
	return times[rounds/2].Seconds() * 1e3, (after - before).Seconds() * 1e3 / rounds, nil
}

func memoryOf(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	kilobytes := func(name string) (int, error) {
		_, rest, found := strings.Cut(string(status), "\n"+name+":")
		if !found {
			return 0, fmt.Errorf("no %s", name)
		}
		return strconv.Atoi(strings.Fields(rest)[0])
	}
	resident, err := kilobytes("VmRSS")
	if err != nil {
		return memory{}, err
	}
	anonymous, err := kilobytes("RssAnon")
	return memory{resident, anonymous}, err
}

// processor returns the processor time of a process, all threads, user and system.
func processor(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program may hold anything; what follows it does not.
	values := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err := strconv.ParseInt(values[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(values[12], 10, 64)
	return time.Duration(user+system) * clockTick, err
}

func ownProcessor() time.Duration {
	var usage syscall.Rusage
	// Cannot fail for the process itself.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
