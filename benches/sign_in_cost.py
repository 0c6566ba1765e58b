#!/usr/bin/env python3
"""What a sign-in at the limit costs Redis, before and after a change.

    python3 benches/sign_in_cost.py BEFORE [AFTER]

BEFORE and AFTER are commits; without AFTER it is the working tree. The scripts of both run on one server, in turn, on
users of their own. Each figure is the median of the rounds of `usec_per_call` of EVALSHA, for a sign-in that evicts,
for one that is refused, and for a list. A request follows each sign-in. `redis-server` must be in the PATH; it listens on the loopback only.
"""

import hashlib
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
CREATE = ["create", "prelude", "hash", "data", "room", "admit", "seat"]
RESOLVE = ["resolve", "prelude", "tokens", "hash", "unusual"]
ROUNDS = 9
# MessagePack: a user, an IPv4 address, a user agent of 117 bytes.
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 measured/1.0.0"


def body(address):
    return b"\x93\xa5alice\x81\x00\x94\x0a\x00\x00" + bytes([address]) + b"\xd9" + bytes([len(AGENT)]) + AGENT


def text(commit, name):
    path = f"{LUA}/{name}.lua"
    if commit is None:
        return (ROOT / path).read_text()
    return subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def script(commit, names):
    return "\n".join(text(commit, name) for name in names)


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

    def cost(self):
        line = next(line for line in self.ask("INFO", "commandstats").decode().splitlines() if "evalsha:" in line)
        return float(line.split("usec_per_call=")[1].split(",")[0])


class Scripts:
    def __init__(self, redis, commit, name):
        self.redis, self.name, self.made = redis, name, 0
        self.create = redis.ask("SCRIPT", "LOAD", script(commit, CREATE))
        self.list = redis.ask("SCRIPT", "LOAD", listing(commit))
        # EVAL, because the figures are those of EVALSHA.
        self.resolve = script(commit, RESOLVE)
        # Scripts that know it get the length of the part of the body that names the client.
        self.own = "own " in text(commit, "create")
        # Scripts that know it get the moment after which the request arrived.
        self.after = "  after   " in text(commit, "create")
        # Scripts that know realms get a mark, here of none.
        self.realm = bytes(3) if "realm  " in text(commit, "create") else b""

    def sign_in(self, limit, refuse=0):
        self.made += 1
        name = f"{self.made:016}".encode()
        digest = hashlib.sha256(name + self.name.encode()).digest()
        day = 86_400_000
        times = [-(2**63), -(2**63), 2**62] if self.after else [-(2**63), 2**62]
        terms = struct.pack(f">BBBBHH{5 + len(times)}q", 1, refuse, 1, 0, limit, 0, day, 30 * day, 0, 65_536, day // 24, *times)
        if self.own:
            terms += struct.pack(">H", len(body(0))) + self.realm
        key = f"{self.name}:{{{limit}}}"
        answer = self.redis.ask("EVALSHA", self.create, 1, key, name, digest, body(self.made % 250), terms)
        if not refuse:
            self.redis.ask("EVAL", self.resolve, 1, key, name, digest)
        return answer

    def listing(self, limit):
        within = [b""] if self.realm else []
        answer = self.redis.ask("EVALSHA", self.list, 1, f"{self.name}:{{{limit}}}", -(2**63), *within, b"", b"12345678")
        assert len(answer) == 3 + 2 * limit, len(answer)
        return answer

    def measure(self, work, count):
        self.redis.ask("CONFIG", "RESETSTAT")
        for _ in range(count):
            work()
        return self.redis.cost()


def main():
    before, after = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        argv = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        server = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    redis = Redis(port)
                    break
                except OSError:
                    time.sleep(0.05)
            both = [Scripts(redis, before, "before"), Scripts(redis, after, "after")]
            print("µs of Redis per call, median of", ROUNDS, "rounds")
            print("| limit | | before | after | after / before |\n|---|---|---|---|---|")
            for limit, count in [(3, 400), (100, 100), (1_000, 10)]:
                for each in both:
                    for _ in range(2 * limit):
                        each.sign_in(limit)
                works = {
                    "evicting sign-in": lambda each: each.sign_in(limit),
                    "refused sign-in": lambda each: each.sign_in(limit, refuse=1),
                    "list": lambda each: each.listing(limit),
                }
                for what, work in works.items():
                    costs = {each.name: [] for each in both}
                    for turn in range(ROUNDS):
                        for each in both if turn % 2 == 0 else both[::-1]:
                            costs[each.name].append(each.measure(lambda: work(each), count))
                    old, new = (statistics.median(costs[each.name]) for each in both)
                    print(f"| {limit} | {what} | {old:.1f} | {new:.1f} | {new / old:.2f} |")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
