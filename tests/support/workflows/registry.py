"""registry.py URL_FILE: a local registry of crates to publish to and download from. Writes its URL to a file."""
import hashlib
import http.server
import json
import pathlib
import sys

crates = {}


class Registry(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name, _, version = self.path.removeprefix("/crates/").partition("/")
        if self.path == "/config.json":
            self.answer(200, json.dumps({"dl": f"{url}/crates/{{crate}}/{{version}}", "api": url}).encode())
        elif (name, version) in crates:
            self.answer(200, crates[name, version][1])
        else:
            name = self.path.rsplit("/", 1)[1]
            lines = [json.dumps(line) for (of, _), (line, _) in crates.items() if of == name]
            self.answer(200 if lines else 404, "\n".join(lines).encode())

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int.from_bytes(body[:4], "little")
        about, crate = json.loads(body[4 : 4 + length]), body[8 + length :]
        key = about["name"], about["vers"]
        if key in crates:
            self.answer(200, json.dumps({"errors": [{"detail": "crate version is already uploaded"}]}).encode())
            return
        line = {"name": key[0], "vers": key[1], "deps": [], "features": {}, "yanked": False}
        crates[key] = {**line, "cksum": hashlib.sha256(crate).hexdigest()}, crate
        self.answer(200, b"{}")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
url = f"http://127.0.0.1:{server.server_port}"
file = pathlib.Path(sys.argv[1])
file.with_suffix(".new").write_text(url)
file.with_suffix(".new").rename(file)
server.serve_forever()
