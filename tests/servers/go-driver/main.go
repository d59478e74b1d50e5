// Command go-driver is the official SDK as oracle: it hosts plugins as Vault does, drives and measures them, and answers
// what the SDK itself would make of an input.
//
//	go-driver bench FLAGS PLUGIN [ARG...]     loads a token engine, and reports one JSON document
//	go-driver sequences FLAGS -- A -- B       sends the same generated requests to two engines, and compares
//	go-driver conformance PLUGIN [ARG...]     runs the cases of the SDK's own tests against a plugin
//	go-driver logins PLUGIN [ARG...]          compares an auth method with the SDK's helpers for tokens
//	go-driver mock                            is the SDK's own mock engine as a plugin
//	go-driver fields | routes | ttl           answers each line of JSON on standard input with one on standard output
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(arguments []string) error{
	"bench":       bench,
	"conformance": conformance,
	"echo":        echo,
	"fields":      fields,
	"logins":      logins,
	"mock":        mockPlugin,
	"routes":      routes,
	"sequences":   sequences,
	"ttl":         ttl,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go-driver bench|conformance|echo|fields|logins|mock|routes|sequences|ttl …")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-driver:", err)
		os.Exit(1)
	}
}
