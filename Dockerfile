# syntax=docker/dockerfile:1
# The model registry operator as a static program in an empty image.
#
#   docker build --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
# ring has parts in C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .
# What --version says: there is no git in here to ask.
ARG BUILD_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && export BUILD_COMMIT \
    && cargo build --release --locked --package model-registry-operator --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/model-registry-operator" /image/ \
    # Manifests of the Go operator start the program by this name.
    && ln -s model-registry-operator /image/manager \
    && cp LICENSE /image/licenses/

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/manager"]
