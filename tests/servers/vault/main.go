// Command vault is the real HashiCorp Vault, server and official CLI, for the
// end-to-end tests of this repository.
//
// Vault is licensed under BUSL-1.1. It is built here from its published module
// for testing only; nothing that this module builds is distributed.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
