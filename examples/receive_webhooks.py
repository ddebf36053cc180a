"""A receiver of webhooks in thirty lines: verify, answer fast, do the work once.

pip install standardwebhooks
WEBHOOK_SECRET=whsec_… python receive_webhooks.py 9000       (`mediamill config --secrets` shows the secret)
mediamill run … or POST /v1/jobs with "callback_url": "http://127.0.0.1:9000/"
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

verifier = Webhook(os.environ["WEBHOOK_SECRET"])
#: Ids already seen: a webhook may come twice, its `webhook-id` is then the same. Keep them in your database.
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        # The signature covers the very bytes that came: verify before anything parses them.
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = verifier.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except (WebhookVerificationError, ValueError):  # ValueError: a signature that is not even base64
            self.send_response(401)
            self.end_headers()
            return
        # Any 2xx ends it; anything else, or 15 seconds of silence, is tried again for three days.
        self.send_response(204)
        self.end_headers()
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            data = event["data"]
            print(event["type"], data["id"], *(artifact["url"] for artifact in data.get("artifacts", ())), flush=True)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
