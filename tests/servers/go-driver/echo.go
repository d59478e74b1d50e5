package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echo loads a gRPC server that answers with what it is sent: what a call costs with nothing behind it.
func echo(arguments []string) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	socket := flags.String("socket", "", "`PATH` of the server's unix socket")
	pid := flags.Int("pid", 0, "its process")
	secure := flags.Bool("tls", false, "encrypt")
	callers := flags.Int("callers", 64, "how many callers at once")
	seconds := flags.Float64("seconds", 5, "how long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	security := insecure.NewCredentials()
	if *secure {
		// Who answers does not matter here, what it costs does.
		security = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	conn, err := grpc.NewClient("unix:"+*socket, grpc.WithTransportCredentials(security))
	if err != nil {
		return err
	}
	defer conn.Close()
	// As long as a request for credentials.
	question := wrapperspb.Bytes(make([]byte, 300))
	run := func(lasting time.Duration) (load, error) {
		var stop atomic.Bool
		var waiting sync.WaitGroup
		times := make([][]time.Duration, *callers)
		var failed atomic.Pointer[error]
		before, err := processor(*pid)
		if err != nil {
			return load{}, err
		}
		hostBefore, began := ownProcessor(), time.Now()
		for caller := range *callers {
			waiting.Go(func() {
				for !stop.Load() {
					asked := time.Now()
					answer := &wrapperspb.BytesValue{}
					if err := conn.Invoke(context.Background(), "/relay.Oracle/Answer", question, answer); err != nil {
						failed.Store(&err)
						return
					}
					times[caller] = append(times[caller], time.Since(asked))
				}
			})
		}
		time.Sleep(lasting)
		stop.Store(true)
		waiting.Wait()
		if err := failed.Load(); err != nil {
			return load{}, fmt.Errorf("echo: %w", *err)
		}
		elapsed, hostTime := time.Since(began), ownProcessor()-hostBefore
		after, err := processor(*pid)
		if err != nil {
			return load{}, err
		}
		all := slices.Concat(times...)
		slices.Sort(all)
		at := func(share float64) float64 {
			return float64(all[min(int(share*float64(len(all))), len(all)-1)].Nanoseconds()) / 1e3
		}
		each := func(total time.Duration) float64 { return float64(total.Nanoseconds()) / 1e3 / float64(len(all)) }
		return load{
			PerSecond: float64(len(all)) / elapsed.Seconds(),
			P50Us:     at(0.5),
			P99Us:     at(0.99),
			P999Us:    at(0.999),
			PluginUs:  each(after - before),
			HostUs:    each(hostTime),
		}, nil
	}
	if _, err := run(time.Second); err != nil {
		return err
	}
	found, err := run(time.Duration(*seconds * float64(time.Second)))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
