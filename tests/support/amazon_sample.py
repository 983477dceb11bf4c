"""Amazon's sample of the same bridge, as it is, in a process of its own; its code is not part of this project.

`python -m tests.support.amazon_sample FOLDER` reads Lambda events from standard input, one in a line, and answers each with
a line: the status code. What it logs goes to standard error.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.stack import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.stack import Gatepost

    from gatepost.demo.workspace_one import TwinLogin

VARIABLE = "GATEPOST_TEST_AMAZON_SAMPLE"
"""The folder with the sample's `app.py`: workmail-ws1-integration/src of aws-samples/amazon-workmail-lambda-templates."""
USER = "events"
ROOT = Path(__file__).parent.parent.parent


def folder() -> Path | None:
    """Where the sample is, None where nobody says so."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


class Sample:
    """The sample, between a Workspace ONE at `url` and `workmail`, our API in the place of Amazon's."""

    def __init__(self, code: Path, url: str, login: TwinLogin, workmail: Gatepost, password: str) -> None:
        self._password = password
        creds = {
            "rest_api_url": f"{url}/api",
            "rest_api_key": login.tenant_code,
            "rest_api_username": login.user,
            "rest_api_password": login.password,
            "event_notification_username": USER,
            "event_notification_password": password,
        }
        self._secrets = _SecretsManager(creds)
        environment = clean_environment() | {
            "AWS_ENDPOINT_URL_WORKMAIL": workmail.control_url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self._secrets.url,
            "AWS_ACCESS_KEY_ID": workmail.initial["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": workmail.initial["secret_access_key"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "ORGANIZATION_ID": workmail.organization_id,
            "WS1CREDS_ID": "production/WS1Creds",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(code)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def post(self, event: Mapping[str, Any], header: str = "Authorization") -> int:
        """A notification, as the API gateway in front of the Lambda function hands it on; the status."""
        login = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        return self._handle({"httpMethod": "POST", "headers": {header: f"Basic {login}"}, "body": json.dumps(event)})

    def test_connection(self) -> int:
        """The console's connection test, without any credentials; the status."""
        return self._handle({"httpMethod": "GET", "headers": {}})

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()
        self._secrets.stop()

    def _handle(self, event: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the sample has come to an end: does its folder hold `app.py` and what that imports?"
        return int(line)


class _SecretsManager:
    """GetSecretValue, whatever is asked for."""

    def __init__(self, secret: Mapping[str, str]) -> None:
        body = json.dumps({"Name": "production/WS1Creds", "SecretString": json.dumps(secret)}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, sys.argv[1])
    app = __import__("app")
    for line in sys.stdin:
        answers.write(f"{app.lambda_handler(json.loads(line), None)['statusCode']}\n")
        answers.flush()


if __name__ == "__main__":
    _main()
