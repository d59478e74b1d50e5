package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var handshake = plugin.HandshakeConfig{MagicCookieKey: "RELAY_PLUGIN", MagicCookieValue: "relay"}

// serve is the relay as a Go plugin, for hosts that are not written in Go.
func serve() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: map[int]plugin.PluginSet{5: {"relay": &relayPlugin{}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(1<<30), grpc.MaxSendMsgSize(1<<30))...)
		},
	})
}

func (*relayPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&relayService, &relayServer{broker: broker})
	return nil
}

// relayServer asks the host over the connection that was made last.
type relayServer struct {
	broker *plugin.GRPCBroker
	host   atomic.Pointer[grpc.ClientConn]
}

func (r *relayServer) connect(ctx context.Context, id *wrapperspb.StringValue) (proto.Message, error) {
	number, err := strconv.ParseUint(id.Value, 10, 32)
	if err != nil {
		return nil, err
	}
	conn, err := r.broker.Dial(uint32(number))
	if err != nil {
		return nil, err
	}
	r.host.Store(conn)
	return r.ask(ctx, wrapperspb.Bytes([]byte("hello")))
}

func (r *relayServer) ask(ctx context.Context, question *wrapperspb.BytesValue) (proto.Message, error) {
	answer := &wrapperspb.BytesValue{}
	err := r.host.Load().Invoke(ctx, "/relay.Oracle/Answer", question, answer)
	return answer, err
}

func (r *relayServer) print(_ context.Context, line *wrapperspb.StringValue) (proto.Message, error) {
	fmt.Println(line.Value)
	return &emptypb.Empty{}, nil
}

var relayService = grpc.ServiceDesc{
	ServiceName: "relay.Relay",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("Connect", (*relayServer).connect),
		method("Ask", (*relayServer).ask),
		method("Print", (*relayServer).print),
	},
}

// method describes one method of the relay, as generated code would.
func method[T any, M interface {
	*T
	proto.Message
}](name string, handle func(*relayServer, context.Context, M) (proto.Message, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := M(new(T))
			if err := decode(request); err != nil {
				return nil, err
			}
			return handle(server.(*relayServer), ctx, request)
		},
	}
}
