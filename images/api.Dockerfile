# HTTP in, HTTP out. Build it at the root of the checkout:
#   docker build -f images/api.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) -t tallyman/api .
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
# What the program links and nothing else, so that nothing else makes it anew; a test knows the list from `go list`.
COPY aggregator/*.go aggregator/
COPY api/*.go api/openapi.yaml api/
COPY api/explain/*.go api/explain/
COPY api/page/ api/page/
COPY cmd/api/*.go cmd/api/
COPY contract/*.go contract/
COPY internal/audit/*.go internal/audit/
COPY internal/dispatch/*.go internal/dispatch/
COPY internal/doctor/*.go internal/doctor/
COPY internal/feed/*.go internal/feed/
COPY internal/program/*.go internal/program/
COPY internal/queue/*.go internal/queue/
COPY internal/service/*.go internal/service/
COPY internal/stream/*.go internal/stream/
COPY scheduler/*.go scheduler/
ARG VERSION=0.0.0-dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -tags image -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X tallyman/internal/service.release=$VERSION" -o /out/api ./cmd/api

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://tallyman.dev
LABEL org.opencontainers.image.title="tallyman api" \
      org.opencontainers.image.description="HTTP in, HTTP out" \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.licenses=NOASSERTION
COPY --from=build --chmod=444 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chmod=555 /out/api /ko-app/api
# The folder for a program's data, where ko has it; it is empty.
WORKDIR /var/run/ko
WORKDIR /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ko-app \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    KO_DATA_PATH=/var/run/ko
USER 65532:65532
ENTRYPOINT ["/ko-app/api"]
