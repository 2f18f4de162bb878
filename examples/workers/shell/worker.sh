#!/bin/sh
# A worker in plain POSIX shell and curl: each task is a command that reads its input as JSON and writes its result as JSON.
#
#   GRAFLOW_SERVER=http://127.0.0.1:9100 sh examples/workers/shell/worker.sh line-count sh -c 'wc -l'
#
# The command's exit status decides: 0 is a result, anything else an error with what it wrote to standard error. It ends at SIGTERM once its
# task is done. Kill it at any time: its task is started again elsewhere once its lease is over.
set -u
[ $# -ge 2 ] || { echo "usage: worker.sh TASK COMMAND [ARGUMENT…]" >&2; exit 2; }
task=$1
shift

server=${GRAFLOW_SERVER:-http://127.0.0.1:9100}/api/v1/cluster/workers
worker=${WORKER_ID:-shell-$$}
lease=${LEASE_MS:-15000}
folder=$(mktemp -d) || exit 1
main=$$
leaving=
trap 'leaving=1' TERM INT
trap 'rm -rf "$folder"' EXIT

# call PATH BODY: the answer is in $answer and its status in $status. A server that is away, or full, is asked again.
call() {
  pause=0
  while :; do
    answer=$(printf '%s' "$2" | curl -sS -m 75 -X POST "$server$1" -H 'content-type: application/json' \
      ${GRAFLOW_API_KEY:+-H "x-api-key: $GRAFLOW_API_KEY"} --data-binary @- -w '\n%{http_code}' 2>/dev/null)
    status=${answer##*
}
    answer=${answer%?"$status"}
    case $status in 2* | 400 | 401 | 403 | 404 | 409 | 410 | 413 | 415 | 422) return ;; esac
    [ -n "$leaving" ] && [ "$pause" -gt 10 ] && exit 1
    pause=$((pause + 1))
    sleep 1
  done
}

# field NAME TEXT: the first text of this name in JSON. Those that are asked for come before any that a user may have written.
field() {
  rest=${2#*\""$1"\":\"}
  printf '%s' "${rest%%\"*}"
}

# Text as a JSON string.
quoted() {
  printf '"%s"' "$(tr -d '\000-\010\013\014\016-\037' | sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/\r/\\r/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }')"
}

register() {
  call /register "{\"workerId\":\"$worker\",\"tasks\":[\"$task\"],\"queues\":[\"${QUEUE:-default}\"],\"leaseMs\":$lease,\"pid\":$$}"
  [ "$status" = 201 ] || { echo "not registered: $answer" >&2; exit 1; }
  id=$(field id "$answer")
  echo "$worker is ready: $task"
}

# Says that the task is in hand while the command runs, as long as this shell lives; ends the command when nobody wants its result any more.
beat() {
  while kill -0 "$main" 2>/dev/null && kill -0 "$1" 2>/dev/null; do
    call "/$id/extend" "{\"token\":\"$token\"}"
    case $answer in *'"lost":[]'*) ;; *) kill "$1" 2>/dev/null ;; esac
    sleep $((lease / 4000 + 1))
  done
}

register
while [ -z "$leaving" ]; do
  call "/$id/acquire" '{"waitMs":5000}'
  [ "$status" = 404 ] && { register; continue; }
  case $answer in *'"drain":true'*) leaving=1 ;; esac
  case $answer in *'"token":'*) ;; *) continue ;; esac
  token=$(field token "$answer")
  # the input stands last in the answer
  input=${answer#*\"input\":}
  printf '%s' "${input%\}\]\}}" >"$folder/input"

  "$@" <"$folder/input" >"$folder/output" 2>"$folder/error" &
  command=$!
  beat "$command" &
  heart=$!
  # a signal ends `wait`, not the command
  while :; do
    wait "$command"
    result=$?
    kill -0 "$command" 2>/dev/null || break
  done
  kill "$heart" 2>/dev/null

  if [ "$result" = 0 ]; then
    call "/$id/complete" "{\"token\":\"$token\",\"result\":$(cat "$folder/output")}"
  fi
  if [ "$result" != 0 ] || [ "$status" = 400 ] || [ "$status" = 413 ]; then
    if [ "$result" = 0 ] && [ "$status" = 413 ]; then echo 'its output is too large' >"$folder/error"
    elif [ "$result" = 0 ]; then echo "its output is no JSON: $(cat "$folder/output")" >"$folder/error"
    fi
    call "/$id/complete" "{\"token\":\"$token\",\"error\":{\"name\":\"ExitStatus\",\"message\":$(quoted <"$folder/error"),\"code\":$result}}"
  fi
  [ "$status" = 409 ] && echo "a result came too late: $(field detail "$answer")" >&2
done
call "/$id/deregister" '{"reason":"it was told to leave"}'
