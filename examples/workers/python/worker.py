#!/usr/bin/env python3
"""A worker in Python, with nothing but its standard library: it registers with a control plane, takes tasks over HTTP and reports their results.

    graflow serve --redis-url redis://localhost:6379 --port 9100
    GRAFLOW_SERVER=http://127.0.0.1:9100 python3 examples/workers/python/worker.py

`Worker` is all there is to it: give it functions by name. Several servers may stand in GRAFLOW_SERVER, with commas between: where one is gone, the next
is asked, and nothing is lost. Kill this process at any time: its tasks are started again elsewhere once its lease is over.
"""
import http.client
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
import urllib.parse

CALLS = "/api/v1/cluster/workers"


class Refused(Exception):
    """The server's answer to a call: an RFC 9457 problem. `code` is Graflow's."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.code = status, problem.get("code")


class Servers:
    """Calls a control plane, one call at a time. A server that is away or full is asked again, or the next one is, until `patience` is over."""

    def __init__(self, urls, key=None):
        self.urls, self.at, self.connection = urls, 0, None
        self.headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}

    def call(self, path, body, timeout=15, patience=60):
        until, pause = time.monotonic() + patience, 0.1
        while True:
            try:
                return self._once(path, json.dumps(body), timeout)
            except (OSError, http.client.HTTPException) as error:
                problem = error
                self.at = (self.at + 1) % len(self.urls)
                self.close()
            except Refused as error:
                if error.status != 429 and error.status < 500:
                    raise
                problem = error
            if time.monotonic() + pause > until:
                raise problem
            time.sleep(pause)
            pause = min(2 * pause, 2)

    def _once(self, path, body, timeout):
        url = urllib.parse.urlsplit(self.urls[self.at])
        if self.connection is None:
            kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
            self.connection = kind(url.hostname, url.port, timeout=timeout)
        self.connection.timeout = timeout
        if self.connection.sock is not None:
            self.connection.sock.settimeout(timeout)
        self.connection.request("POST", url.path.rstrip("/") + CALLS + path, body, self.headers)
        answer = self.connection.getresponse()
        value = json.loads(answer.read() or b"null")
        if answer.status >= 400:
            raise Refused(answer.status, value)
        return value

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Task:
    """What a handler knows of its start. It may look at `cancelled`: nobody wants its result any more."""

    def __init__(self, facts):
        self.token, self.name, self.input = facts["token"], facts["task"], facts["input"]
        self.run_id, self.path, self.attempt = facts["runId"], facts["path"], facts["attempt"]
        self.index, self.fence, self.idempotency_key = facts.get("index"), facts["fence"], facts["idempotencyKey"]
        self.cancelled = threading.Event()
        self.note = {}

    def progress(self, fraction, message=None):
        """Travels with the next heartbeat."""
        self.note["progress"] = {"fraction": fraction, **({} if message is None else {"message": message})}

    def log(self, message, level="info"):
        self.note.setdefault("log", []).append({"level": level, "message": str(message)})


class Worker:
    """Runs tasks, `at_once` of them in as many threads. `tasks` maps names to functions of the input and the `Task`; what they return must be JSON.
    Without `key` it calls with that of GRAFLOW_API_KEY, if there is one."""

    def __init__(self, servers, tasks, at_once=1, key=None, **facts):
        self.tasks, self.at_once, self.servers = tasks, at_once, servers
        self.key = key or os.environ.get("GRAFLOW_API_KEY")
        self.facts = {"tasks": list(tasks), "hostname": socket.gethostname(), "pid": os.getpid(), **facts}
        self.registered, self.in_hand, self.lock = None, {}, threading.Lock()
        self.leaving, self.ended, self.results = threading.Event(), threading.Event(), queue.Queue()

    def run(self):
        """Until `leave` is called, SIGTERM or SIGINT comes (to the main thread), or somebody asks the control plane to drain this worker."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.leave())
        calls = Servers(self.servers, self.key)
        self._register(calls)
        heart = threading.Thread(target=self._beat, daemon=True)
        heart.start()
        while not (self.leaving.is_set() and not self.in_hand and self.results.empty()):
            self._report(calls)
            free = self.at_once - len(self.in_hand)
            if self.leaving.is_set() or free == 0:
                self._wait_for_result()
                continue
            # while something is in hand its result must not wait for work to come
            wait_ms = 5_000 if not self.in_hand else 100
            answer = self._call(calls, "acquire", {"max": free, "waitMs": wait_ms, "inHand": list(self.in_hand)})
            for facts in answer["tasks"]:
                task = Task(facts)
                with self.lock:
                    self.in_hand[task.token] = task
                threading.Thread(target=self._start, args=(task,), daemon=True).start()
            if answer["drain"]:
                self.leaving.set()
        self.ended.set()
        self._call(calls, "deregister", {"reason": "it was told to leave"})
        calls.close()

    def leave(self):
        """Takes nothing more, and ends once what it has is done."""
        self.leaving.set()

    def _register(self, calls):
        self.registered = calls.call("/register", self.facts)
        print(f"{self.registered['workerId']} is ready: {', '.join(self.tasks)}", flush=True)

    def _call(self, calls, what, body):
        try:
            return calls.call(f"/{self.registered['id']}/{what}", body)
        except Refused as error:
            if error.code != "WORKER_NOT_FOUND":
                raise
            if what != "deregister":  # of that an answer was lost, and it is gone already
                self._register(calls)  # it was silent for too long, or the store was emptied
            return {"tasks": [], "drain": False}

    def _start(self, task):
        try:
            report = {"result": self.tasks[task.name](task.input, task)}
            json.dumps(report, allow_nan=False)
        except Exception as error:  # whatever a handler throws is its task's failure
            name, stack = type(error).__name__, traceback.format_exc()
            report = {"error": {"name": name, "message": str(error), "stack": stack}}
            if getattr(error, "retryable", None) is False:
                report["error"]["retryable"] = False
        self.results.put((task, report))

    def _wait_for_result(self):
        try:
            self.results.put(self.results.get(timeout=0.5))
        except queue.Empty:
            pass

    def _report(self, calls):
        done = []
        while not self.results.empty():
            done.append(self.results.get())
        if not done:
            return
        self._complete(calls, [{"token": task.token, **report} for task, report in done])
        with self.lock:
            for task, _ in done:
                self.in_hand.pop(task.token, None)

    def _complete(self, calls, reports):
        try:
            ends = calls.call(f"/{self.registered['id']}/complete", {"tasks": reports})["tasks"]
        except Refused as error:
            if error.status not in (400, 413):
                raise
            # not all the tasks are to suffer from one that the server does not take, or from the size of all: each goes by itself
            if len(reports) > 1:
                for report in reports:
                    self._complete(calls, [report])
                return
            token, message = reports[0]["token"], f"its report was refused: {error}"
            print(message, flush=True)
            failure = {"name": "Refused", "message": message, "retryable": False}
            try:
                ends = calls.call(f"/{self.registered['id']}/complete", {"tasks": [{"token": token, "error": failure}]})["tasks"]
            except Refused as again:
                if again.status != 400:
                    raise
                print(f"the token of a task is not taken, so its result is dropped: {again}", flush=True)
                return
        for end in ends:
            if end["state"] == "refused":
                print(f"a result came too late: {end['detail']}", flush=True)

    def _beat(self):
        """Says that this worker lives; hears which tasks nobody wants any more, and whether it is to leave."""
        calls = Servers(self.servers, self.key)
        while not self.ended.wait(self.registered["heartbeatIntervalMs"] / 1000):
            with self.lock:
                tasks = list(self.in_hand.values())
            notes = [{"token": task.token, **task.note} for task in tasks]
            for task in tasks:
                task.note = {}
            try:
                answer = self._say(calls, notes)
            except (Refused, OSError, http.client.HTTPException):
                continue  # the next call for work registers again, where that is what it takes
            for lost in answer["lost"]:
                task = self.in_hand.get(lost["token"])
                if task is not None:
                    task.cancelled.set()
            if answer["drain"]:
                self.leaving.set()

    def _say(self, calls, notes):
        id = self.registered["id"]
        if notes:
            try:
                return calls.call(f"/{id}/extend", {"tasks": notes})
            except Refused as error:
                if error.status not in (400, 413):
                    raise
                print(f"what tasks said of themselves was refused: {error}", flush=True)  # the worker lives all the same
        return calls.call(f"/{id}/heartbeat", {"inHand": [note["token"] for note in notes]})


def count_words(text, task):
    """The example task: how often each word of a text stands in it."""
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def slow_square(n, task):
    """Squares a number in as many seconds as PACE says, and says how far it is; the tests kill workers in it."""
    steps = 20
    for step in range(steps):
        if task.cancelled.wait(float(os.environ.get("PACE", "1")) / steps):
            return None
        task.progress((step + 1) / steps)
    return n * n


def divide(pair, task):
    return pair[0] / pair[1]


def main():
    worker = Worker(
        os.environ.get("GRAFLOW_SERVER", "http://127.0.0.1:9100").split(","),
        {"count-words": count_words, "slow-square": slow_square, "divide": divide},
        at_once=int(os.environ.get("AT_ONCE", "1")),
        workerId=os.environ.get("WORKER_ID", f"python-{os.getpid()}"),
        queues=os.environ.get("QUEUES", "default").split(","),
        leaseMs=int(os.environ.get("LEASE_MS", "15000")),
    )
    worker.run()


if __name__ == "__main__":
    sys.exit(main())
