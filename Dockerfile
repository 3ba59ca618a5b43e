# The program with its pages, ONNX Runtime and the default classifier beside it, and nothing else of ours.
FROM node:22-bookworm-slim AS web
WORKDIR /web
COPY src/web .
RUN npm ci && npm run build

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=web /web/dist src/web/dist
RUN cargo build --release --locked \
    && .ci/runtime target/release \
    && mkdir -p /out/router-models \
    && cp -L target/release/pointsman target/release/libonnxruntime.so /out/ \
    && cp -rL target/release/router-models/default /out/router-models/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /opt/pointsman
COPY policies /etc/pointsman/policies
# Nothing is written: a read-only root without /tmp is enough.
USER 65532:65532
ENV ORT_DISABLE_TELEMETRY=1
WORKDIR /etc/pointsman
EXPOSE 8080 8081
ENTRYPOINT ["/opt/pointsman/pointsman"]
CMD ["serve", "--config", "/etc/pointsman/pointsman.yaml"]
