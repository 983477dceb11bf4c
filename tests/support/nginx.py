"""nginx for tests: one configuration, in the foreground, below a scratch folder."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from string import Template

from tests.support.daemons import Daemon, port_answers, program, scratch_folder, start, wait_until

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

_FRAME = Template("""
${modules}
${user}
daemon off;
worker_processes ${workers};
pid ${root}/nginx.pid;
error_log ${root}/error.log;
worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
  access_log off;
  client_body_temp_path ${root}/body; proxy_temp_path ${root}/proxy; fastcgi_temp_path ${root}/fastcgi;
  uwsgi_temp_path ${root}/uwsgi; scgi_temp_path ${root}/scgi;
${http}
}
${stream}
""")


def missing() -> str | None:
    """Why nginx cannot be started here, in a sentence; None when it can."""
    return None if program("nginx") else "not installed: nginx-light (`make test` installs it)"


def missing_stream() -> str | None:
    """Why nginx cannot pass TCP on here, in a sentence; None when it can."""
    return missing() or (
        None if STREAM_MODULE.exists() else "not installed: libnginx-mod-stream (`make test` installs it)"
    )


class Nginx:
    """A running nginx; `http` is what stands in its http block, `stream` in a block of that name."""

    def __init__(self, http: str, *, port: int, workers: int = 1, root: Path | None = None, stream: str = "") -> None:
        self.root = root or scratch_folder("nginx")
        self.port = port
        user = "user www-data;" if os.getuid() == 0 else ""
        configuration = self.root / "nginx.conf"
        modules = f"load_module {STREAM_MODULE};" if stream else ""
        block = f"stream {{\n{stream}\n}}" if stream else ""
        configuration.write_text(
            _FRAME.substitute(user=user, workers=workers, root=self.root, http=http, modules=modules, stream=block)
        )
        self.daemon: Daemon = start(
            "nginx",
            [program("nginx") or "nginx", "-c", configuration, "-e", self.root / "error.log"],
            log=self.root / "nginx.out",
            stop_signal=signal.SIGTERM,
        )

    def wait(self) -> None:
        """Return when it listens."""
        wait_until(lambda: port_answers(self.port), "nginx listens", alive=[self.daemon])

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self.daemon.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def front(*, port: int, upstream: str, certificate: Path | None = None, key: Path | None = None) -> str:
    """The server block in front of a gateway, as an administrator would write it; TLS with a certificate, else plain."""
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key};" if certificate else ""
    return f"""
  client_max_body_size 50m;
  server {{
    listen 127.0.0.1:{port} {"ssl" if certificate else ""};
    {tls}
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 3600s;
      proxy_buffering off;
    }}
  }}
"""
