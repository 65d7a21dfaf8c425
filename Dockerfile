# syntax=docker/dockerfile:1
# Static programs in empty images.
#
# The model registry operator:
#   docker build --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .
# The TrustyAI operator:
#   docker build --target trustyai-operator --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .
# The MLflow operator:
#   docker build --target mlflow-operator --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .
# The upload job:
#   docker build --target async-upload -t IMAGE .
#
# With --build-arg FEATURES=fips its cryptography is the FIPS module of aws-lc-rs.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS source
ARG FEATURES=""
# ring and aws-lc have parts in C; the FIPS module is made with CMake, Go and Perl.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
       $(case "$FEATURES" in *fips*) echo cmake make g++ golang-go perl ;; esac) \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .

FROM source AS build-async-upload
ARG FEATURES
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && cargo build --release --locked --package async-upload --features "$FEATURES" --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/async-upload" /image/ \
    && cp LICENSE /image/licenses/

FROM scratch AS async-upload
COPY --from=build-async-upload /image/ /
USER 65532:65532
ENTRYPOINT ["/async-upload"]

FROM source AS build-trustyai-operator
ARG FEATURES
ARG BUILD_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && export BUILD_COMMIT \
    && cargo build --release --locked --package trustyai-operator --features "$FEATURES" --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/trustyai-operator" /image/ \
    # Manifests of the Go operator start the program by this name.
    && ln -s trustyai-operator /image/manager \
    && cp LICENSE /image/licenses/

FROM scratch AS trustyai-operator
COPY --from=build-trustyai-operator /image/ /
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM source AS build-mlflow-operator
ARG FEATURES
ARG BUILD_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && export BUILD_COMMIT \
    && cargo build --release --locked --package mlflow-operator --features "$FEATURES" --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/mlflow-operator" /image/ \
    # Manifests of the Go operator start the program by this name.
    && ln -s mlflow-operator /image/manager \
    && cp LICENSE /image/licenses/

FROM scratch AS mlflow-operator
COPY --from=build-mlflow-operator /image/ /
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM source AS build
ARG FEATURES
# What --version says: there is no git in here to ask.
ARG BUILD_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && export BUILD_COMMIT \
    && cargo build --release --locked --package model-registry-operator --features "$FEATURES" --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/model-registry-operator" /image/ \
    # Manifests of the Go operator start the program by this name.
    && ln -s model-registry-operator /image/manager \
    && cp LICENSE /image/licenses/

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/manager"]
