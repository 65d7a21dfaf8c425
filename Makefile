# Thin calls. An operator's own targets are in config/OPERATOR/Makefile, and run here as
# `make TARGET OPERATOR=name`; everything else is `cargo xtask help`.
OPERATOR ?= model-registry-operator

.DEFAULT_GOAL := help

##@ General
.PHONY: help
help: ## Print this
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z\/-]+:.*##/ {printf "  %-22s%s\n", $$1, $$2}' \
	  $(MAKEFILE_LIST) config/operator.mk config/$(OPERATOR)/Makefile

##@ Development
.PHONY: manifests
manifests: ## Write the files that come from code
	cargo xtask codegen

.PHONY: lint
lint: ## Format, spelling, dependencies, clippy, generated files
	cargo xtask lint

.PHONY: test
test: ## Everything that must hold before a change goes in
	cargo xtask test

# One recipe for all targets of an operator.
OPERATOR_TARGETS := install uninstall deploy undeploy run build docker-build docker-push \
  docker-buildx certificates certificates/clean
# These are the MLflow operator's alone.
MLFLOW_TARGETS := deploy-kind undeploy-kind deploy-to-platform
$(MLFLOW_TARGETS): OPERATOR := mlflow-operator

.PHONY: $(OPERATOR_TARGETS) $(MLFLOW_TARGETS)
$(OPERATOR_TARGETS) $(MLFLOW_TARGETS):
	$(MAKE) -C config/$(OPERATOR) $@
