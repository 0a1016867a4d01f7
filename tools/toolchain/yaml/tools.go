//go:build tools

// Package tools keeps the YAML language host in go.mod. It needs an older engine's packages than the engine itself, so
// it is a module of its own.
package tools

import _ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
