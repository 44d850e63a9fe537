"""Serves a folder over HTTP on 127.0.0.1, for the tests of downloads: with byte ranges, and with accidents on demand.

range_server.py FOLDER [--drop-once] [--no-ranges]
    --drop-once  the first answer for each file breaks off half-way
    --no-ranges  files are sent from the beginning, whatever was asked
Prints the port, then one line per request: path, first byte asked for.
"""
import http.server
import os
import sys

FOLDER = sys.argv[1]
DROP_ONCE = "--drop-once" in sys.argv
RANGES = "--no-ranges" not in sys.argv
dropped = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        begin = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        print(self.path, begin, flush=True)
        path = os.path.join(FOLDER, self.path.lstrip("/"))
        if not os.path.isfile(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            content = file.read()
        if not RANGES:
            begin, asked = 0, None
        if asked and begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body = content[begin:]
        if DROP_ONCE and path not in dropped:
            dropped.add(path)
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
