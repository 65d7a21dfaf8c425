# The targets of the Go operators. Each is one call; run them in an operator's folder or as
# `make TARGET OPERATOR=name` at the root. The folder's Makefile says STANDING, the image that stands
# in the manifests, before it includes this.

# Folder with the manifests to deploy, from here: overlays/webhook has admission and conversion.
OVERLAY ?= default
KUBECTL ?= kubectl
CONTAINER_TOOL ?= docker

# For docker-buildx. CGO_ENABLED, which the Go operators' builds are given, means nothing here: the
# programs are static.
PLATFORMS ?= linux/arm64,linux/amd64

ROOT := ../..
XTASK := cd $(ROOT) && cargo xtask
PACKAGE := $(notdir $(CURDIR))
BUILD_OPTIONS = --build-arg PROGRAM=$(PACKAGE) --build-arg BUILD_COMMIT="$$(git rev-parse --short=12 HEAD)" -t $(IMG) $(ROOT)
# Image of the operator: what is built, pushed and deployed.
IMG ?= $(STANDING)

.DEFAULT_GOAL := help

##@ Operator
.PHONY: help
help: ## Print this
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z\/-]+:.*##/ {printf "  %-22s%s\n", $$1, $$2}' \
	  ../operator.mk Makefile

.PHONY: install
install: ## Install the CRDs
	$(KUBECTL) apply --server-side -k crd

.PHONY: uninstall
uninstall: ## Remove the CRDs, and all resources with them
	$(KUBECTL) delete --ignore-not-found -k crd

.PHONY: deploy
deploy: ## Install the operator with image IMG from OVERLAY
	$(KUBECTL) kustomize $(OVERLAY) | sed 's|image: $(STANDING)$$|image: $(IMG)|' \
	  | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove the operator and its CRDs
	$(KUBECTL) delete --ignore-not-found -k $(OVERLAY)

.PHONY: run
run: ## Run the operator here, against the current context
	cd $(ROOT) && ENABLE_WEBHOOKS=false cargo run --locked --package $(PACKAGE)

.PHONY: build
build: ## Build the program
	cd $(ROOT) && cargo build --release --locked --package $(PACKAGE)

.PHONY: docker-build
docker-build: ## Build image IMG
	$(CONTAINER_TOOL) build $(BUILD_OPTIONS)

.PHONY: docker-push
docker-push: ## Push image IMG
	$(CONTAINER_TOOL) push $(IMG)

.PHONY: docker-buildx
docker-buildx: ## Build image IMG for PLATFORMS, and push it
	$(CONTAINER_TOOL) buildx build --push --platform=$(PLATFORMS) $(BUILD_OPTIONS)
