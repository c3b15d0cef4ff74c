"""A reader as Python programs have it: requests with stream=True, and a client that comes back with its last id.

Usage: requests-reader.py URL TOKEN [sseclient]

Prints a line `event id data` for each event, with line breaks of the data as `|`; the package prints lines of its own. With `sseclient`, the package of that name
reads the stream; otherwise this file does what it does.
"""

import sys
import time

import requests


def tell(event_id, data):
    print("event", event_id, data.replace("\n", "|"), flush=True)


def with_package(url, headers):
    from sseclient import SSEClient

    # requests takes text without a charset for Latin-1; event streams are UTF-8 (HTML section 9.2.5).
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: setattr(response, "encoding", "utf-8"))
    # The package comes back by itself after a clean end; a reset connection it leaves to the program.
    last_id = None
    while True:
        try:
            messages = SSEClient(url, last_id=last_id, session=session, headers=headers, retry=100)
            for message in messages:
                last_id = messages.last_id
                if message.data:
                    tell(message.id, message.data)
        except (OSError, requests.RequestException):
            time.sleep(0.1)


def with_requests(url, headers):
    last_id = None
    while True:
        try:
            fields = headers if last_id is None else {**headers, "Last-Event-ID": last_id}
            with requests.get(url, headers=fields, stream=True, timeout=(3, 60)) as response:
                response.raise_for_status()
                data = []
                event_id = last_id
                for line in response.iter_lines(decode_unicode=False):
                    text = line.decode("utf-8")
                    if text == "":
                        if data:
                            last_id = event_id
                            tell(last_id, "\n".join(data))
                        data = []
                    elif text.startswith("data:"):
                        data.append(text[5:].removeprefix(" "))
                    elif text.startswith("id:"):
                        event_id = text[3:].removeprefix(" ")
        except requests.RequestException:
            pass
        time.sleep(0.1)


url, token = sys.argv[1:3]
fields = {"Authorization": "Bearer " + token, "Accept": "text/event-stream"}
(with_package if "sseclient" in sys.argv[3:] else with_requests)(url, fields)
