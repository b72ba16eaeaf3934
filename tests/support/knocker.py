"""knocker.py URL: opens a connection for each GET of URL, one after the other, until its standard
input ends; then prints what came of them as JSON: {"ok", "refused", "reset", "other", "longest_ms"}.

`refused` is a connection that nobody took; `reset` one that broke before its answer was whole, as
that of a client whose daemon is killed in the middle of a request does.
"""

import http.client
import json
import select
import sys
import time
import urllib.parse


def knock(url):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return "refused"
    try:
        connection.request("GET", url.path)
        answer = connection.getresponse()
        answer.read()
        return "ok" if answer.status == 200 else "other"
    except (ConnectionError, http.client.HTTPException):
        return "reset"
    finally:
        connection.close()


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    count = {"ok": 0, "refused": 0, "reset": 0, "other": 0}
    longest = 0
    print("knocking", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        start = time.monotonic()
        count[knock(url)] += 1
        longest = max(longest, time.monotonic() - start)
    print(json.dumps({**count, "longest_ms": round(longest * 1000)}))


main()
