//go:build tools

// Package tools pins the server of buckets that models are read from and written to in tests.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
