# One image for every command: a worker unless told otherwise. docs/deployment.md says how to add your task modules.
#
#   docker build -t graflow --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… .
#
# Give the base by its digest, so that a build can be repeated; without one the tag decides, whatever it means that day.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# A registry of your own: docker build --secret id=npmrc,src=$HOME/.npmrc
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --include=dev --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY lib lib
COPY worker worker
COPY bin bin
COPY dashboard dashboard
RUN node scripts/build.mjs
# Task modules below /app find `graflow`, also those with a package.json of their own.
RUN npm prune --omit=dev --no-fund && ln -s .. node_modules/graflow

FROM ${NODE_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="graflow" \
      org.opencontainers.image.description="Workers and the exporter of Graflow: graphs of tasks on worker processes, over Redis" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production \
    GRAFLOW_METRICS_PORT=9464
WORKDIR /app
COPY LICENSE ./
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# By number: Kubernetes can only tell of a number that it is not root. All files belong to root, so the process cannot change them.
USER 1000:1000
EXPOSE 9464
STOPSIGNAL SIGTERM
# Whether the process lives; whether it has a Redis and takes work is /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "require('node:http').get(`http://127.0.0.1:${process.env.GRAFLOW_METRICS_PORT}/livez`, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# node itself, so that SIGTERM reaches the worker: npm, npx and a shell keep it to themselves.
ENTRYPOINT ["node", "dist/bin/graflow-worker.js"]
