"""A receiver of changes, to copy: mails what changed on watched bills. Needs Python, nothing else.

WATCHED="https://openstates.org/wy/bills/2026/HB1/ https://openstates.org/wy/bills/2026/SF12/" \
    WEBHOOK_SECRET=whsec_… MAIL_TO=me@example.org python … 8080

Put it behind something that speaks HTTPS. docs/changes.md describes what it gets.
"""

import base64
import hmac
import json
import os
import smtplib
import sqlite3
import sys
import time
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
WATCHED = os.environ["WATCHED"].split()
MAILED = sqlite3.connect(os.environ.get("MAILED", "mailed.sqlite"))
MAILED.execute("CREATE TABLE IF NOT EXISTS mailed (id TEXT PRIMARY KEY)")


class Receiver(BaseHTTPRequestHandler):
    timeout = 5  # seconds: who sends nothing keeps nobody out

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        id, sent = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        right = base64.b64encode(hmac.digest(KEY, f"{id}.{sent}.".encode() + body, "sha256"))
        given = self.headers["webhook-signature"].encode().split()
        genuine = any(hmac.compare_digest(b"v1," + right, one) for one in given)
        if genuine := genuine and abs(time.time() - int(sent)) < 300:
            with MAILED:  # undone if the mail cannot be sent: without an answer all comes again
                mail([one for one in json.loads(body) if is_watched(one) and is_new(one)])
        self.send_response(204 if genuine else 401)
        self.end_headers()


def is_watched(event):
    return event["data"]["links"].get("openstates") in WATCHED


def is_new(event):  # an event may come twice
    return MAILED.execute("INSERT OR IGNORE INTO mailed VALUES (?)", [event["id"]]).rowcount == 1


def mail(events):
    if events:
        message = EmailMessage()
        message["Subject"] = ", ".join(sorted({one["data"]["bill_identifier"] for one in events}))
        message["From"] = message["To"] = os.environ["MAIL_TO"]
        what = [(e["data"]["links"]["openstates"], e["type"], *e["data"]["fields"]) for e in events]
        message.set_content("\n".join(map(" ".join, what)))
        with smtplib.SMTP(os.environ.get("SMTP", "localhost")) as server:
            server.send_message(message)


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(f"listening on port {server.server_port}", flush=True)
server.serve_forever()
