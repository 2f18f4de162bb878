#!/usr/bin/env bash
# Builds the Dockerfile for real and tries the image: a worker in it runs, is healthy, drains on SIGTERM, and is replaced after kill -9.
# Needs no container engine and no registry of images: buildah builds and runs (chroot isolation), and the base is Debian by debootstrap
# with the Node.js of this machine. As root, on Debian: apt-get install buildah debootstrap redis-server. A few minutes, 3 GB below
# TMPDIR. The base is kept in .cache/container. Where something is missing, it says so and ends with 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for program in buildah debootstrap redis-server redis-cli node; do
  if ! command -v "$program" >/dev/null; then
    echo "container: skipped, since there is no $program (apt-get install buildah debootstrap redis-server)"
    exit 0
  fi
done
if [ "$(id -u)" != 0 ]; then
  echo 'container: skipped, since debootstrap and chroot need root'
  exit 0
fi

cache=$PWD/.cache/container
work=$(mktemp -d "${TMPDIR:-/tmp}/graflow-container.XXXXXX")
mkdir -p "$cache"
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah() { command buildah --root "$work/storage" --runroot "$work/run" "$@"; }
started=()
kill_tree() {
  for child in $(pgrep -P "$1"); do kill_tree "$child"; done
  kill -9 "$1" 2>/dev/null || true
}
end() {
  exec 2>/dev/null # what the shell says of processes that it killed
  for pid in "${started[@]}"; do kill_tree "$pid"; done
  wait
  buildah rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap end EXIT
say() { printf 'container: %s\n' "$*"; }
fail() {
  say "FAILED: $*"
  tail -n 20 "$work"/*.log || true
  exit 1
}
until_said() { # until_said FILE PATTERN WHAT
  for _ in $(seq 300); do
    if grep -q "$2" "$1" 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "expected within 30 s: $3"
}

# The base: what `node:…-slim` is, made here.
node=$(readlink -f "$(command -v node)")
base=$cache/node-$(node --version).tar
if [ ! -f "$base" ]; then
  say "makes a base: Debian and Node.js $(node --version)"
  debian=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' | awk -v c="$debian" '$2 == "Debian" && $3 == c { print $1; exit }')}
  debootstrap --variant=minbase --include=ca-certificates,libstdc++6 "$debian" "$work/base" "$mirror" >"$work/debootstrap.log" 2>&1 || fail debootstrap
  rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
  install -D "$node" "$work/base/usr/local/bin/node"
  npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  mkdir -p "$work/base/usr/local/lib/node_modules"
  cp -a "$npm" "$work/base/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/base/usr/local/bin/npm"
  chroot "$work/base" useradd --uid 1000 --create-home node
  tar -C "$work/base" --create --file "$base.part" .
  mv "$base.part" "$base"
  rm -rf "$work/base"
fi
container=$(buildah from scratch)
buildah add --quiet "$container" "$base" / >/dev/null
buildah config --cmd bash "$container"
buildah commit --quiet --rm --format docker "$container" localhost/node:local >/dev/null

# The image, as people build it; npm is told where packages are, and no secret.
say 'buildah build --build-arg NODE_IMAGE=localhost/node:local -t localhost/graflow .'
node scripts/registry-npmrc.mjs >"$work/npmrc"
version=$(node -p 'require("./package.json").version')
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
buildah build --format docker --layers=false --secret "id=npmrc,src=$work/npmrc" --build-arg NODE_IMAGE=localhost/node:local \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" -t localhost/graflow . >"$work/build.log" 2>&1 || fail 'the build'

# Task modules on top, as docs/deployment.md says.
mkdir "$work/app"
cp examples/field/*.mjs "$work/app"
cat >"$work/app/Dockerfile" <<'END'
FROM localhost/graflow
COPY tasks.mjs load.mjs tasks/
CMD ["--tasks", "tasks/tasks.mjs"]
END
buildah build --format docker --layers=false -t localhost/app "$work/app" >"$work/app.log" 2>&1 || fail 'the build of an image with tasks'
buildah inspect --type image localhost/app >"$work/image.json"
config() { node -p "JSON.stringify(JSON.parse(require('node:fs').readFileSync('$work/image.json')).Docker.config.$1)"; }
words() { node -p 'JSON.parse(process.argv[1]).join("\n")' "$1"; }
mapfile -t command < <(words "$(config Entrypoint)" && words "$(config Cmd)")
mapfile -t health < <(words "$(config Healthcheck.Test)")
packages=$(buildah run "$(buildah from --quiet localhost/app)" -- sh -c 'ls node_modules | wc -l; du -sm . | cut -f1')
say "image: $(echo $packages | awk '{ print $1 " packages, " $2 " MB in /app" }')"
say "user $(config User), stop signal $(config StopSignal), command ${command[*]}"
[ "$(config User)" = '"1000:1000"' ] || fail 'expected user 1000:1000'
[ "$(config StopSignal)" = '"SIGTERM"' ] || fail 'expected SIGTERM'

# A Redis, on loopback.
# Below the ports that a system gives to outgoing connections.
free_port() {
  node -e '
    const { createServer } = require("node:net")
    const ask = () => {
      const port = 20_000 + Math.floor(Math.random() * 12_000)
      const server = createServer().on("error", ask).listen(port, () => server.close(() => console.log(port)))
    }
    ask()'
}
port=$(free_port)
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work" --maxmemory-policy noeviction >"$work/redis.log" 2>&1 &
started+=($!)
until_said "$work/redis.log" 'Ready to accept connections' 'redis-server ready'

# The worker's own process, below those of buildah.
pid_of() {
  for pid in $(pgrep --full "worker-id $1"); do
    case $(readlink "/proc/$pid/exe") in */node) echo "$pid" ;; esac
  done
}
worker() { # worker ID PORT: what the image starts, and a name
  local container
  container=$(buildah from --quiet localhost/app)
  buildah run --env "GRAFLOW_REDIS_URL=redis://127.0.0.1:$port" --env "GRAFLOW_METRICS_PORT=$2" --env GRAFLOW_MAX_CONCURRENT_TASKS=4 \
    "$container" -- "${command[@]}" --worker-id "$1" >"$work/$1.log" 2>&1 &
  started+=($!)
  eval "job_$1=$!"
  eval "container_$1=$container"
  until_said "$work/$1.log" "worker $1 is ready" "worker $1 ready"
}
healthy() { # healthy ID PORT: what the image says for HEALTHCHECK
  local container=container_$1
  buildah run --env "GRAFLOW_METRICS_PORT=$2" "${!container}" -- "${health[@]:1}" 2>"$work/health.log"
}
load() { # load FILE RUNS ITEMS MS
  local container
  container=$(buildah from --quiet localhost/app)
  buildah run --env "GRAFLOW_REDIS_URL=redis://127.0.0.1:$port" "$container" -- \
    node tasks/load.mjs --runs "$2" --items "$3" --ms "$4" >"$work/$1" 2>&1 &
  started+=($!)
  loading=$!
}
in_flight() { curl --silent --fail "http://127.0.0.1:$1/metrics" | awk '$1 == "graflow_branches_in_flight" { print $2 }'; }
until_busy() {
  for _ in $(seq 300); do
    if [ "$(in_flight "$1")" -gt 0 ] 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "expected work in the worker of port $1"
}

ports=("$(free_port)" "$(free_port)")
worker a "${ports[0]}"
pid=$(pid_of a)
say "worker a runs as user $(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")"
healthy a "${ports[0]}" || fail 'the health check of a worker that runs'
say "health check: 0; /readyz: $(curl --silent "http://127.0.0.1:${ports[0]}/readyz")"

load first.log 1 60 500
until_busy "${ports[0]}"
busy=$(in_flight "${ports[0]}")
kill -TERM "$pid"
say "SIGTERM with $busy branches in flight"
status=0
wait "$job_a" || status=$?
[ "$status" = 0 ] || fail "expected exit code 0 of worker a, got $status"
say "worker a ended with $status: $(grep -o 'worker a is draining[^"]*' "$work/a.log"); $(grep -o 'worker a has stopped' "$work/a.log")"
status=0
healthy a "${ports[0]}" || status=$?
say "health check of the container without its worker: $status"
[ "$status" = 1 ] || fail 'expected 1'

worker b "${ports[0]}"
wait "$loading" || fail 'the run that worker a began'
say "worker b finished it: $(tail -n 1 "$work/first.log")"

load second.log 1 60 500
until_busy "${ports[0]}"
kill -9 "$(pid_of b)"
wait "$job_b" || true
say 'worker b was killed (SIGKILL) with work in flight'
worker c "${ports[1]}"
wait "$loading" || fail 'the run that worker b began'
say "worker c finished it: $(tail -n 1 "$work/second.log")"
kill -TERM "$(pid_of c)"
wait "$job_c" || fail 'expected exit code 0 of worker c'

# The control plane: the same image, another command; beyond loopback it wants keys.
node dist/bin/graflow.js serve --new-key read >"$work/key" 2>"$work/line" || fail 'a new key'
container=$(buildah from --quiet localhost/app)
echo "[$(grep sha256 "$work/line")]" >"$work/keys.json"
buildah add --quiet "$container" "$work/keys.json" /app/keys.json >/dev/null
port_of_server=$(free_port)
server() { # server FLAG…: what docs/deployment.md says
  buildah run --env "GRAFLOW_REDIS_URL=redis://127.0.0.1:$port" --env GRAFLOW_HTTP_HOST=0.0.0.0 --env "GRAFLOW_HTTP_PORT=$port_of_server" \
    "$container" -- node dist/bin/graflow.js serve "$@"
}
status=0
server >"$work/open.log" 2>&1 || status=$?
[ "$status" = 2 ] || fail "expected exit code 2 of a server beyond loopback without keys, got $status"
server --api-keys-file keys.json --allowed-host 127.0.0.1 >"$work/server.log" 2>&1 &
job=$!
started+=("$job")
until_said "$work/server.log" 'control plane of graflow on' 'the control plane ready'
runs="http://127.0.0.1:$port_of_server/api/v1/runs"
status=$(curl --silent --output /dev/null --write-out '%{http_code}' "$runs")
[ "$status" = 401 ] || fail "expected 401 without a key, got $status"
curl --silent --fail --header "x-api-key: $(cat "$work/key")" "$runs" >"$work/runs.json" || fail 'the list of runs'
number=$(node -p "JSON.parse(require('node:fs').readFileSync('$work/runs.json')).items.filter((run) => run.state === 'completed').length")
[ "$number" = 2 ] || fail "expected the two runs that succeeded, got $number"
for pid in $(pgrep --full 'graflow.js serve'); do
  case $(readlink "/proc/$pid/exe") in */node) grep -qz "GRAFLOW_HTTP_PORT=$port_of_server" "/proc/$pid/environ" && kill -TERM "$pid" ;; esac
done
wait "$job" || fail 'expected exit code 0 of the control plane at SIGTERM'
say "control plane: 2 without keys, 401 without the key, $number runs with it, and 0 after SIGTERM"
say 'ok'
