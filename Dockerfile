# syntax=docker/dockerfile:1
# Static programs in empty images.
#
# The model registry operator:
#   docker build --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .
# The upload job:
#   docker build --target async-upload -t IMAGE .

FROM docker.io/library/rust:1.95.0-slim-bookworm AS source
# ring and aws-lc have parts in C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .

FROM source AS build-async-upload
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && cargo build --release --locked --package async-upload --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/async-upload" /image/ \
    && cp LICENSE /image/licenses/

FROM scratch AS async-upload
COPY --from=build-async-upload /image/ /
USER 65532:65532
ENTRYPOINT ["/async-upload"]

FROM source AS build
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
