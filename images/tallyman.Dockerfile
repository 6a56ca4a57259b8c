# the tallyman command. Build it at the root of the checkout:
#   docker build -f images/tallyman.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) -t tallyman/tallyman .
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
# What the program links and nothing else, so that nothing else makes it anew; a test knows the list from `go list`.
COPY cmd/tallyman/*.go cmd/tallyman/
COPY contract/*.go contract/
COPY internal/service/*.go internal/service/
COPY internal/sqslocal/*.go internal/sqslocal/
ARG VERSION=0.0.0-dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -tags image -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X tallyman/internal/service.release=$VERSION" -o /out/tallyman ./cmd/tallyman

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://tallyman.dev
LABEL org.opencontainers.image.title="tallyman tallyman" \
      org.opencontainers.image.description="the tallyman command" \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.licenses=NOASSERTION
COPY --from=build --chmod=444 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chmod=555 /out/tallyman /ko-app/tallyman
# The folder for a program's data, where ko has it; it is empty.
WORKDIR /var/run/ko
WORKDIR /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ko-app \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    KO_DATA_PATH=/var/run/ko
USER 65532:65532
ENTRYPOINT ["/ko-app/tallyman"]
