# What the binary runs in has libc, OpenSSL 3, which makes its RSA signatures, and root
# certificates, for databases that are reached over TLS.
FROM golang:1.26-bookworm AS build
WORKDIR /src
# The modules that are built, and what they need: fetched again only when that changes.
COPY go.mod go.sum ./
COPY verify/go.mod verify/go.sum verify/
COPY cmd/ingam-demo-api/go.mod cmd/ingam-demo-api/go.sum cmd/ingam-demo-api/
RUN go mod download && cd cmd/ingam-demo-api && go mod download
COPY . .
# The repository's history is not in here: docker build --build-arg COMMIT=$(git rev-parse HEAD)
ARG VERSION
ARG COMMIT
ARG DATE
RUN make build VERSION="$VERSION" COMMIT="$COMMIT" DATE="$DATE" && mkdir -p /made/data && cp bin/ingam /made/

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /made/ingam /usr/local/bin/ingam
COPY --from=build --chown=65532:65532 /made/data /var/lib/ingam
USER 65532:65532
VOLUME /var/lib/ingam
EXPOSE 8080
ENV INGAM_LISTEN=0.0.0.0:8080
ENTRYPOINT ["/usr/local/bin/ingam"]
CMD ["serve"]
