# A static program on nothing but certificate roots and a user without rights.
#
#   docker build -t portcullis .
#   docker run --read-only -p 5000:5000 \
#     -v ./portcullis:/etc/portcullis:ro -v portcullis-store:/var/lib/portcullis portcullis
#
# The configuration has to name what it writes to below the volume: `store: { path: /var/lib/portcullis/store }`,
# and to listen on 0.0.0.0: `listen.address` for clients, and `admin.address` too where probes and scrapers of
# other containers or hosts are to reach it (docs/CONFIG.md, "admin").

FROM rust:1-slim-bookworm AS build
RUN apt-get update \
 && apt-get install --no-install-recommends -y musl-tools \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
COPY README.md LICENSE ./
# Benchmarks are named in Cargo.toml; they are not built.
COPY benches benches
RUN cargo build --locked --release --bin portcullis --target "$(uname -m)-unknown-linux-musl" \
 && install -D "target/$(uname -m)-unknown-linux-musl/release/portcullis" /out/usr/bin/portcullis \
 && install -d -o 65532 -g 65532 -m 700 /out/var/lib/portcullis

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/usr/bin/portcullis /usr/bin/portcullis
COPY --from=build --chown=65532:65532 /out/var/lib/portcullis /var/lib/portcullis
USER 65532:65532
WORKDIR /var/lib/portcullis
VOLUME /var/lib/portcullis
EXPOSE 5000
ENTRYPOINT ["/usr/bin/portcullis"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]
