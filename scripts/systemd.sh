#!/usr/bin/env bash
# Follows the systemd part of docs/deployment.md in a Debian that has just been made, booted with systemd, as a new user would: the commands
# are those of the page. Only the source of packages differs: Node.js is the one of this machine, and Graflow the package of this checkout.
# As root, on Debian: apt-get install debootstrap systemd-container. A few minutes. Where something is missing, it says so and ends with 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'systemd: %s\n' "$*"; }
for program in debootstrap systemd-nspawn node npm; do
  if ! command -v "$program" >/dev/null; then
    say "skipped, since there is no $program (apt-get install debootstrap systemd-container)"
    exit 0
  fi
done
if [ "$(id -u)" != 0 ]; then
  say 'skipped, since debootstrap and systemd-nspawn need root'
  exit 0
fi

cache=$PWD/.cache/container
work=$(mktemp -d "${TMPDIR:-/tmp}/graflow-systemd.XXXXXX")
machine=$work/machine
mkdir -p "$cache" "$machine"
trap 'rm -rf "$work"' EXIT

# An empty Debian, with what the page has apt-get install, and nothing else that the page uses. Node.js and npm come from this machine: of
# theirs there are libraries and certificates.
debian=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages=$(sed -n '/^## systemd/,/^## Container/s/^apt-get update && apt-get install --yes //p' docs/deployment.md)
case " $packages " in
  *" nodejs npm "*) packages=$(printf ' %s ' "$packages" | sed 's/ nodejs npm / /; s/^ *//; s/ *$//; s/ \+/,/g') ;;
  *) say "expected nodejs npm among what docs/deployment.md installs, got: $packages"; exit 1 ;;
esac
base=$cache/debian-$debian-$packages.tar
if [ ! -f "$base" ]; then
  say "makes a Debian ($debian)"
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' | awk -v c="$debian" '$2 == "Debian" && $3 == c { print $1; exit }')}
  debootstrap --variant=minbase --include="systemd-sysv,dbus,ca-certificates,libstdc++6,$packages" "$debian" "$work/base" "$mirror" \
    >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; exit 1; }
  tar -C "$work/base" --exclude='./var/cache/apt/archives/*.deb' --create --file "$base.part" .
  mv "$base.part" "$base"
  rm -rf "$work/base"
fi
tar -C "$machine" --extract --file "$base"
install -D "$(readlink -f "$(command -v node)")" "$machine/usr/local/bin/node"
mkdir -p "$machine/usr/local/lib/node_modules"
cp -a "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$machine/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$machine/usr/local/bin/npm"
npm pack --silent --pack-destination "$machine/root" >/dev/null
node scripts/registry-npmrc.mjs >"$machine/root/.npmrc"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$machine/etc/hosts"

# The commands of the page: the second block needs a network, which the machine itself will not have.
node - "$machine/root" <<'END'
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const page = readFileSync('docs/deployment.md', 'utf8')
const section = /^## systemd\n([^]*?)^## /m.exec(page)[1]
const [redis, tasks, units, check, run, key] = [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block]) => block)
if (key === undefined) throw new Error('expected six blocks of commands in the systemd part of docs/deployment.md')
const strict = 'set -euxo pipefail\nexport HOME=/root\n'
const local = tasks.replace(/^(npm install .*?) graflow .*$/m, '$1 /root/graflow-*.tgz')
if (local === tasks) throw new Error('expected `npm install … graflow` in the second block')
writeFileSync(`${process.argv[2]}/install.sh`, strict + local)
const ready = 'for n in $(seq 100); do curl --silent --fail localhost:9464/readyz && break; sleep 0.2; done 2>/dev/null\n'
const exporter = existsSync('dist/bin/graflow.js') ? ready.replace('9464', '9463') + 'curl --silent --fail localhost:9463/readyz\n' : ''
const refused = `[ "$(curl --silent --output /dev/null --write-out '%{http_code}' localhost:9463/api/v1/autoscale)" = 401 ]\n`
// The control plane: the commands of its own section, then its answer, a kill, and keys of which only hashes are kept.
const serve = /^## The control plane\n[^]*?^```sh\n([^]*?)^```/m.exec(page)?.[1]
if (!serve?.includes('enable --now graflow\n')) throw new Error('expected the commands that enable graflow.service in docs/deployment.md')
const served = ready.replace('9464', '9100')
const status = `curl --silent --output /dev/null --write-out '%{http_code}' localhost:9100/api/v1/runs`
const server = `${serve}${served}curl --silent --fail 'localhost:9100/api/v1/runs?state=completed'
curl --silent --fail localhost:9100/ | grep '<script'
systemctl kill --signal=SIGKILL graflow && sleep 3
${served}systemctl is-active graflow
key=$(node node_modules/graflow/dist/bin/graflow.js serve --new-key read 2>/root/line)
[ -n "$key" ]
echo "[$(grep sha256 /root/line)]" >/etc/graflow/api-keys.json
echo GRAFLOW_API_KEYS_FILE=/etc/graflow/api-keys.json >>/etc/graflow/server.env
systemctl restart graflow
${served}[ "$(${status})" = 401 ]
[ "$(${status} --header "x-api-key: $key")" = 200 ]
systemd-analyze security graflow --no-pager | tail -1
systemctl stop graflow
journalctl --unit graflow --lines 4 --output cat
`
const stop = 'systemctl stop graflow-worker@2\njournalctl --unit graflow-worker@2 --lines 4 --output cat\n'
const all = [redis.replace(/^apt-get .*\n/m, ''), 'cd /opt/graflow', units, ready, check, run, exporter, key.replace(/^curl /m, () => `${ready.replace('9464', '9463')}curl `), refused, server, stop]
writeFileSync(`${process.argv[2]}/follow.sh`, strict + all.join('\n'))
END
cat >"$machine/etc/systemd/system/follow.service" <<'END'
[Unit]
After=redis-server.service
Wants=redis-server.service
[Service]
Type=oneshot
ExecStart=/bin/bash /root/follow.sh
ExecStopPost=/bin/sh -c 'echo "exit: $EXIT_STATUS" >>/root/follow.log; systemctl poweroff --no-block 2>/dev/null'
StandardOutput=append:/root/follow.log
StandardError=append:/root/follow.log
END
ln -s /etc/systemd/system/follow.service "$machine/etc/systemd/system/multi-user.target.wants/follow.service"

say 'installs the package in it'
chroot "$machine" bash /root/install.sh >"$work/install.log" 2>&1 || { tail "$work/install.log"; exit 1; }
say 'boots it, without a network, and follows docs/deployment.md'
timeout --kill-after=10 180 systemd-nspawn --quiet --register=no --keep-unit --boot --private-network --directory "$machine" >"$work/boot.log" 2>&1 </dev/null || true
cat "$machine/root/follow.log" 2>/dev/null || { tail -n 40 "$work/boot.log"; exit 1; }
grep -q '^exit: 0$' "$machine/root/follow.log"
say 'ok'
