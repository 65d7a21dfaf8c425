//go:build tools

// Package tools pins the registry that images are pushed to in tests.
package tools

import _ "github.com/distribution/distribution/v3/cmd/registry"
