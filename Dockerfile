# syntax=docker/dockerfile:1
# A static program in an empty image. PROGRAM is one of model-registry-operator, trustyai-operator,
# mlflow-operator and async-upload:
#   docker build --build-arg PROGRAM=trustyai-operator \
#     --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)" -t IMAGE .
#
# With --build-arg FEATURES=fips its cryptography is the FIPS module of aws-lc-rs.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
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
ARG PROGRAM=model-registry-operator
# What --version says: there is no git in here to ask.
ARG BUILD_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(uname -m)-unknown-linux-musl" \
    && export BUILD_COMMIT \
    && cargo build --release --locked --package "$PROGRAM" --features "$FEATURES" --target "$target" \
    && mkdir -p /image/licenses \
    && cp "target/$target/release/$PROGRAM" /image/ \
    # Manifests of the Go operators start their program by this name.
    && ln -s "$PROGRAM" /image/manager \
    && cp LICENSE /image/licenses/

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/manager"]
