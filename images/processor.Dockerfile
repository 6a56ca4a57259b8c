# One task, then exit. Build it at the root of the checkout:
#   docker build -f images/processor.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) -t tallyman/processor .
FROM rust:1.95.0-bookworm AS build
WORKDIR /tallyman
COPY scripts/processor scripts/
COPY rust-processor/Cargo.toml rust-processor/Cargo.lock rust-processor/
COPY rust-processor/src/ rust-processor/src/
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/tallyman/rust-processor/target \
    install -D "$(scripts/processor)" /out/processor

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://tallyman.dev
LABEL org.opencontainers.image.title="tallyman processor" \
      org.opencontainers.image.description="one task, then exit" \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.licenses=NOASSERTION
COPY --from=build --chmod=444 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chmod=555 /out/processor /processor
WORKDIR /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/processor"]
