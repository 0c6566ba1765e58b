"""A Python program with a cookie jar goes through the axum example.

Takes the address of the example, and writes as JSON what it saw: the test compares.
"""

import json
import sys
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener


class Client:
    def __init__(self, address):
        self.address = address
        self.jar = CookieJar()
        self.opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self.jar))

    def ask(self, method, path, form=None):
        """Status and body of an answer."""
        body = urlencode(form).encode() if form is not None else None
        request = Request(self.address + path, data=body, method=method)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def cookies(self):
        return [cookie.name for cookie in self.jar]


def main(address):
    client = Client(address)
    seen = {"cart_of_a_guest": client.ask("POST", "/cart/apple")}
    seen["login"] = client.ask("POST", "/login", {"username": "alice", "password": "demo"})
    seen["cookies"] = client.cookies()
    seen["me"] = client.ask("GET", "/me")
    seen["cart"] = client.ask("GET", "/cart")
    seen["logout"] = client.ask("POST", "/logout")
    seen["cookies_afterwards"] = client.cookies()
    seen["me_afterwards"] = client.ask("GET", "/me")
    json.dump(seen, sys.stdout)


main(sys.argv[1])
