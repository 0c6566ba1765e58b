#!/usr/bin/env python3
"""What a sign-in at the limit costs Redis, before and after a change.

    python3 benches/sign_in_cost.py [--instructions] BEFORE [AFTER]

BEFORE and AFTER are commits; without AFTER it is the working tree. The scripts of both run on one server, in turn, on
users of their own. Each figure is the median of the rounds of `usec_per_call` of EVALSHA, for a sign-in that evicts,
for one that is refused, for a list and for a request. A request follows each sign-in. `redis-server` must be in the
PATH, or SERVER names another one; it listens on the loopback only.

With `--instructions` the server runs under Callgrind, and each figure is the mean number of its instructions, without
those of an EVALSHA that does nothing. Other work on the machine does not change them.
"""

import hashlib
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LUA = "src/store/redis/lua"
CREATE = ["create", "prelude", "hash", "data", "room", "admit", "rank", "seat", "write"]
RESOLVE = ["resolve", "prelude", "tokens", "hash", "unusual"]
DAY = 86_400_000
# MessagePack: a user, an IPv4 address, a user agent of 117 bytes.
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 measured/1.0.0"


def body(address):
    return b"\x93\xa5alice\x81\x00\x94\x0a\x00\x00" + bytes([address]) + b"\xd9" + bytes([len(AGENT)]) + AGENT


def text(commit, name):
    path = f"{LUA}/{name}.lua"
    if commit is None:
        return (ROOT / path).read_text() if (ROOT / path).exists() else ""
    return subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, capture_output=True, text=True).stdout


def script(commit, names):
    """Files that a commit does not have are left out."""
    return "\n".join(filter(None, (text(commit, name) for name in names)))


def listing(commit):
    flags, rest = text(commit, "list").split("\n", 1)
    return "\n".join([flags, text(commit, "prelude"), text(commit, "hash"), rest])


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self.socket.sendall(b"".join(parts))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return rest


class Time:
    """Measures by `usec_per_call`."""

    command, rounds, users = [], 9, 1
    counts = {3: 400, 100: 100, 1_000: 10}

    def __init__(self, redis, process):
        self.redis = redis

    def cost(self, works):
        self.redis.ask("CONFIG", "RESETSTAT")
        for work, request in works:
            work()
            request()
        line = next(line for line in self.redis.ask("INFO", "commandstats").decode().splitlines() if "evalsha:" in line)
        return float(line.split("usec_per_call=")[1].split(",")[0])


class Instructions:
    """Measures by the instructions that Callgrind counts."""

    command, rounds, users = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"], 5, 50
    # Redis collects garbage after each 50 scripts.
    counts = {3: 50, 100: 50, 1_000: 50}

    def __init__(self, redis, process):
        self.redis, self.process, self.base = redis, process, None
        self.nothing = redis.ask("SCRIPT", "LOAD", "return 1")

    def control(self, *words):
        argv = ["callgrind_control", *words, str(self.process.pid)]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def cost(self, works):
        if self.base is None:
            self.base = self.count([lambda: self.redis.ask("EVALSHA", self.nothing, 1, "key", bytes(16), bytes(32), bytes(220))] * 200)
        cost = self.count([work for work, _ in works]) - self.base
        for _, request in works:
            request()
        return cost

    def count(self, works):
        self.control("-i", "on")
        # The first call under Callgrind translates the code.
        self.redis.ask("PING")
        before = self.total()
        for work in works:
            work()
        cost = (self.total() - before) / len(works)
        self.control("-i", "off")
        return cost

    def total(self):
        lines = self.control("-e", "Ir").splitlines()
        return int(next(line for line in lines if "Th 1" in line).split("Th 1")[1].replace(",", ""))


class Scripts:
    def __init__(self, redis, commit, name):
        self.redis, self.name, self.made = redis, name, 0
        self.create = redis.ask("SCRIPT", "LOAD", script(commit, CREATE))
        self.list = redis.ask("SCRIPT", "LOAD", listing(commit))
        self.resolve_text = script(commit, RESOLVE)
        self.resolve = redis.ask("SCRIPT", "LOAD", self.resolve_text)
        header = text(commit, "create")
        # Scripts that know it get the length of the part of the body that names the client.
        self.own = "own " in header
        # Scripts that know it get the moment after which the request arrived, or how long ago it did.
        self.after, self.arrived = "  after   " in header, "  arrived " in header
        # Scripts that know realms get a mark, here of none.
        self.realm = bytes(3) if "realm  " in header else b""
        # The last session of each user.
        self.last = {}

    def key(self, limit, user):
        return f"{self.name}:{{{limit}:{user}}}"

    def sign_in(self, limit, user, refuse=0):
        self.made += 1
        name = f"{self.made:016}".encode()
        digest = hashlib.sha256(name + self.name.encode()).digest()
        times = [-(2**63), -(2**63), 2**62] if self.after else [-(2**63), 2**62]
        terms = struct.pack(f">BBBBHH{5 + len(times)}q", 1, refuse, 1, 0, limit, 0, DAY, 30 * DAY, 0, 65_536, DAY // 24, *times)
        if self.own:
            terms += struct.pack(">H", len(body(0))) + self.realm
        if self.arrived:
            terms += struct.pack(">q", 0)
        answer = self.redis.ask("EVALSHA", self.create, 1, self.key(limit, user), name, digest, body(self.made % 250), terms)
        if not refuse:
            self.last[limit, user] = name, digest
        return answer

    def fill(self, limit, users):
        for _ in range(2 * limit + 1):
            self.sign_in(limit, 0)
            self.first_request(limit, 0)
        for user in range(1, users):
            self.last[limit, user] = self.last[limit, 0]
            self.redis.ask("COPY", self.key(limit, 0), self.key(limit, user))

    def first_request(self, limit, user):
        # EVAL, because the figures are those of EVALSHA.
        self.redis.ask("EVAL", self.resolve_text, 1, self.key(limit, user), *self.last[limit, user])

    def request(self, limit, user):
        answer = self.redis.ask("EVALSHA", self.resolve, 1, self.key(limit, user), *self.last[limit, user])
        assert isinstance(answer, bytes), answer

    def listing(self, limit, user):
        within = [b""] if self.realm else []
        answer = self.redis.ask("EVALSHA", self.list, 1, self.key(limit, user), -(2**63), *within, b"", b"12345678")
        assert len(answer) == 3 + 2 * limit, len(answer)

    def refused(self, limit, user):
        answer = self.sign_in(limit, user, refuse=1)
        assert answer[0] == 2 and len(answer) == 3 + 2 * limit, answer[:3]

    def evicting(self, limit, user):
        answer = self.sign_in(limit, user)
        assert answer[0] == 1 and len(answer) == 10, answer[:3]

    def works(self, what, limit, users, count):
        def nothing():
            pass

        for at in range(count):
            user = at % users
            follows = self.first_request if what == "evicting" else None
            yield (
                lambda user=user: getattr(self, what)(limit, user),
                (lambda user=user: follows(limit, user)) if follows else nothing,
            )


def compare(redis, meter, before, after):
    both = [Scripts(redis, before, "before"), Scripts(redis, after, "after")]
    unit = "Instructions" if isinstance(meter, Instructions) else "µs"
    print(unit, "of", redis.ask("INFO", "server").decode().split("\r\n")[1], "per call, median of", meter.rounds, "rounds")
    print("| limit | | before | after | after / before | after / list |\n|---|---|---|---|---|---|")
    for limit, count in meter.counts.items():
        for each in both:
            each.fill(limit, meter.users)
        medians = {}
        for what in ["listing", "refused", "evicting", "request"]:
            costs = {each.name: [] for each in both}
            for turn in range(meter.rounds):
                for each in both if turn % 2 == 0 else both[::-1]:
                    costs[each.name].append(meter.cost(list(each.works(what, limit, meter.users, count))))
            medians[what] = old, new = [statistics.median(costs[each.name]) for each in both]
            of_list = f"{new / medians['listing'][1]:.2f}"
            print(f"| {limit} | {what} | {old:,.1f} | {new:,.1f} | {new / old:.3f} | {of_list} |", flush=True)


def main():
    words = [word for word in sys.argv[1:] if word != "--instructions"]
    meter = Instructions if "--instructions" in sys.argv else Time
    before, after = words[0], words[1] if len(words) > 1 else None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        name = os.environ.get("SERVER", "redis-server")
        argv = [*meter.command, name, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder, "--hz", 1]
        server = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(400):
                try:
                    redis = Redis(port)
                    break
                except OSError:
                    time.sleep(0.05)
            compare(redis, meter(redis, server), before, after)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
