# The relay: one static binary and root certificates, nothing else; no shell, not root.
#   docker build -t sideband-relay .
#   docker run -v sideband:/data -p 443:8443 … : see docs/relay/install.md

# It has the C compiler that SQLite, ring and mimalloc need.
FROM rust:1-alpine AS build
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /source
COPY . .
RUN CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked -p sideband-relay \
 && mkdir -p /image/data /image/etc/ssl/certs \
 && cp target/release/sideband-relay LICENSE /image/ \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && chmod 700 /image/data && chown 65532:65532 /image/data

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENV SIDEBAND_RELAY_DATA_DIR=/data SIDEBAND_RELAY_LISTEN=0.0.0.0:8443
VOLUME /data
EXPOSE 8443
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sideband-relay"]
CMD ["serve"]
