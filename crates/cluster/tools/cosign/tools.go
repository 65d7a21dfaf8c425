//go:build tools

// Package tools pins cosign, which verifies signatures that others made.
package tools

import _ "github.com/sigstore/cosign/v3/cmd/cosign"
