// Ory Hydra, as its own main package builds it.
package main

import "github.com/ory/hydra/v2/cmd"

func main() {
	cmd.Execute()
}
