// Command go-host runs a plugin under the official go-plugin host and reports what it saw, as one JSON document.
// Started by a plugin host itself, it is such a plugin.
//
// Both serve the services of engine/go-plugin/examples/relay/relay.proto. They use well-known types only, so that
// nothing is generated here.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// report is what the host saw.
type report struct {
	ProtocolVersion int      `json:"protocol_version"`
	Answers         []string `json:"answers"`
	LargeAnswer     int      `json:"large_answer"`
	Stdout          string   `json:"stdout"`
	Log             []string `json:"log"`
	Healthy         bool     `json:"healthy"`
	Graceful        bool     `json:"graceful"`
}

func main() {
	if os.Getenv(handshake.MagicCookieKey) != "" {
		serve()
		return
	}
	cookie := flag.String("cookie", "RELAY_PLUGIN=relay", "magic cookie, `KEY=VALUE`")
	versions := flag.String("versions", "5", "protocol versions to offer, `N,N`")
	autoMTLS := flag.Bool("auto-mtls", true, "secure the connections")
	multiplex := flag.Bool("multiplex", false, "multiplex brokered connections over the main one")
	services := flag.Int("services", 3, "how many brokered services to offer at once")
	large := flag.Int("large", 16<<20, "size of one large message, in bytes")
	flag.Parse()

	result, err := run(options{*cookie, *versions, *autoMTLS, *multiplex, *services, *large, flag.Args()})
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-host:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

type options struct {
	cookie, versions    string
	autoMTLS, multiplex bool
	services, large     int
	command             []string
}

func run(o options) (*report, error) {
	key, value, _ := strings.Cut(o.cookie, "=")
	versioned := map[int]plugin.PluginSet{}
	for _, version := range strings.Split(o.versions, ",") {
		number, err := strconv.Atoi(version)
		if err != nil {
			return nil, err
		}
		versioned[number] = plugin.PluginSet{"relay": &relayPlugin{}}
	}
	if len(o.command) == 0 {
		return nil, fmt.Errorf("no plugin given")
	}

	var stdout, log buffer
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:     plugin.HandshakeConfig{MagicCookieKey: key, MagicCookieValue: value},
		VersionedPlugins:    versioned,
		Cmd:                 exec.Command(o.command[0], o.command[1:]...),
		AllowedProtocols:    []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:            o.autoMTLS,
		GRPCBrokerMultiplex: o.multiplex,
		SyncStdout:          &stdout,
		Logger:              hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace, JSONFormat: true}),
	})
	defer client.Kill()

	seen, err := converse(client, o)
	if err != nil {
		// The lines of a plugin that has ended are still being read; Kill waits until the last one is logged.
		client.Kill()
		return nil, fmt.Errorf("%w\n%s", err, log.String())
	}

	// A host kills after two seconds, so what ends sooner ended by itself.
	before := time.Now()
	client.Kill()
	seen.Graceful = client.Exited() && time.Since(before) < 2*time.Second &&
		!strings.Contains(log.String(), "failed to exit gracefully")
	seen.Stdout = stdout.String()
	seen.Log = pluginLines(log.String())
	return seen, nil
}

// converse uses every service of the plugin once.
func converse(client *plugin.Client, o options) (*report, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense("relay")
	if err != nil {
		return nil, err
	}
	relay := raw.(*relay)
	seen := &report{ProtocolVersion: client.NegotiatedVersion(), Healthy: protocol.Ping() == nil}

	// All at once, as Vault mounts after an unseal.
	seen.Answers = make([]string, o.services)
	var connecting errgroup.Group
	for number := range o.services {
		connecting.Go(func() (err error) {
			seen.Answers[number], err = relay.connect(fmt.Sprintf("host %d", number))
			return err
		})
	}
	if err := connecting.Wait(); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	answer, err := relay.ask(bytes.Repeat([]byte("x"), o.large))
	if err != nil {
		return nil, fmt.Errorf("ask much: %w", err)
	}
	seen.LargeAnswer = len(answer)

	for _, method := range []string{"Print", "Log"} {
		if err := relay.call(method, wrapperspb.String("said in "+method), &emptypb.Empty{}); err != nil {
			return nil, err
		}
	}
	// Both travel beside the calls.
	time.Sleep(200 * time.Millisecond)
	return seen, nil
}

// relayPlugin makes the client or the server of the plugin's services.
type relayPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (*relayPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &relay{broker, conn}, nil
}

type relay struct {
	broker *plugin.GRPCBroker
	conn   *grpc.ClientConn
}

// connect serves an oracle of this name over the broker, lets the plugin dial it, and returns its first answer.
func (r *relay) connect(name string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		server := grpc.NewServer(append(options, grpc.MaxRecvMsgSize(1<<30), grpc.MaxSendMsgSize(1<<30))...)
		server.RegisterService(&oracle, name)
		return server
	})
	answer := &wrapperspb.BytesValue{}
	err := r.call("Connect", wrapperspb.String(strconv.FormatUint(uint64(id), 10)), answer)
	return string(answer.Value), err
}

func (r *relay) ask(question []byte) ([]byte, error) {
	answer := &wrapperspb.BytesValue{}
	err := r.call("Ask", wrapperspb.Bytes(question), answer)
	return answer.Value, err
}

func (r *relay) call(method string, request, response proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return r.conn.Invoke(ctx, "/relay.Relay/"+method, request, response)
}

// oracle is the host's service: it answers with its name before the question, and with the question alone when that is
// long.
var oracle = grpc.ServiceDesc{
	ServiceName: "relay.Oracle",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Answer",
		Handler: func(name any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			question := &wrapperspb.BytesValue{}
			if err := decode(question); err != nil {
				return nil, err
			}
			if len(question.Value) > 1024 {
				return question, nil
			}
			return wrapperspb.Bytes([]byte(name.(string) + ": " + string(question.Value))), nil
		},
	}},
}

// pluginLines returns what the plugin itself logged, as `level message`; the host names its lines after the binary.
func pluginLines(log string) []string {
	lines := []string{}
	for _, line := range strings.Split(log, "\n") {
		var entry struct {
			Level   string `json:"@level"`
			Message string `json:"@message"`
			Module  string `json:"@module"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Module == "relay" {
			lines = append(lines, entry.Level+" "+entry.Message)
		}
	}
	return lines
}

// buffer is written and read by several goroutines.
type buffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}
