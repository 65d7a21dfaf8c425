//go:build tools

// Package tools pins crane, which reads and checks images that others made.
package tools

import _ "github.com/google/go-containerregistry/cmd/crane"
