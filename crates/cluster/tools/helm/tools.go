//go:build tools

// Package tools pins Helm, whose rendering the crate helm-render agrees with.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
