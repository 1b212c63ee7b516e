//! nginx in front of a server, as it stands in front of most: TLS, HTTP/2, compression, and an idle
//! limit of three seconds.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use super::servers::{RemoteServer, free_port};
use crate::harness::certified::Certified;
use crate::harness::{Run, Test, until};
use crate::transparent::cache;

const CONFIG: &str = r#"
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log;
events {}
http {
  log_format short '$request_method $status $server_protocol $sent_http_content_encoding';
  access_log DIR/access.log short;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  gzip on;
  gzip_proxied any;
  gzip_min_length 1;
  gzip_types application/json text/event-stream;
  server {
    listen 127.0.0.1:PORT ssl http2;
    ssl_certificate DIR/leaf.pem;
    ssl_certificate_key DIR/leaf.key;
    keepalive_timeout 3s;
    location / {
      proxy_pass http://127.0.0.1:UPSTREAM;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 3s;
    }
  }
}
"#;

/// nginx, listening.
pub(crate) struct Front<'a> {
    _run: Run<'a>,
    dir: PathBuf,
    pub(crate) url: String,
    /// The certificate of the authority that signed its own.
    pub(crate) authority: PathBuf,
}

impl<'a> Front<'a> {
    pub(crate) fn new(test: &'a Test, behind: &RemoteServer<'_>) -> Self {
        let dir = test.dir.join("nginx");
        std::fs::create_dir(&dir).unwrap();
        let authority = certificates(&dir, "127.0.0.1");
        let port = free_port();
        let config = CONFIG
            .replace("DIR", &dir.display().to_string())
            .replace("PORT", &port.to_string())
            .replace("UPSTREAM", &behind.port().to_string());
        let path = dir.join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let program = cache("nginx/usr/sbin/nginx").display().to_string();
        let script = r#""$@" & read -r _; kill $!; wait"#;
        let errors = dir.join("error.log").display().to_string();
        let mut command = test.command("/bin/sh");
        command.args(["-c", script, "sh", &program, "-e", &errors, "-c"]);
        let run = test.start(command.arg(&path));
        until("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let url = format!("https://127.0.0.1:{port}/mcp");
        Self {
            _run: run,
            dir,
            url,
            authority,
        }
    }

    /// Method, status, protocol and encoding of each answer so far.
    pub(crate) fn answers(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// A certificate authority, and a certificate for this host; returns the path of the authority.
pub(super) fn certificates(dir: &Path, host: &str) -> PathBuf {
    let certified = Certified::new(&[host]);
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("leaf.pem", certified.leaf.pem());
    write("leaf.key", certified.key.serialize_pem());
    write("authority.pem", certified.authority)
}
