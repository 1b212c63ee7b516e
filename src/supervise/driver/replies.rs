//! Answers to other commands; docs/control.md describes them.

use serde_json::{Value, json};

use super::Driver;
use crate::supervise::bridge::BridgeLink;
use crate::supervise::generation::Suspicion;
use crate::supervise::request::VERSION;
use crate::supervise::state::ControlReply;
use crate::sys::{lasting, tree};

impl Driver {
    pub(super) fn reply(&mut self, request: u32, reply: ControlReply) {
        let Some(request) = self.requests.remove(&request) else {
            return;
        };
        request.answer(match reply {
            ControlReply::Status => self.status(),
            ControlReply::Renewed => json!({"v": VERSION, "ok": true}),
            ControlReply::NotRenewed(error) => json!({
                "v": VERSION, "ok": false, "code": error.code.name(), "error": error.text(),
            }),
            ControlReply::Checked { running, took } => {
                let ms = u64::try_from(took.as_millis()).unwrap_or(0);
                json!({"v": VERSION, "ok": true, "running": running, "ms": ms})
            }
            ControlReply::Ended => json!({"v": VERSION, "ok": false, "error": "ended"}),
        });
    }

    /// What `mcpwrap ps` shows.
    fn status(&self) -> Value {
        let inner = self.shared.lock();
        let client = inner.session.client().clone();
        let era = inner.session.era();
        drop(inner);
        let current = self.state.current();
        let server = current.and_then(|number| self.generation(number));
        let secrets: Vec<Value> = server
            .into_iter()
            .flat_map(|server| &server.injected)
            .map(|one| {
                json!({
                    "name": one.name.to_string(), "variable": one.variable,
                    "fingerprint": one.fingerprint.to_string(),
                })
            })
            .collect();
        let tree: Vec<i32> = server
            .into_iter()
            .flat_map(|server| tree::descendants(server.guard_pid()))
            .map(nix::unistd::Pid::as_raw)
            .collect();
        json!({
            "v": VERSION, "ok": true,
            "server": self.label.server.as_str(), "supervisor": std::process::id(),
            "state": self.state.name(),
            "pid": server.map(|server| server.pid), "tree": tree, "lasting": lasting::running(),
            "client": {"name": client.name, "version": client.version},
            "era": era.map(|era| format!("{era:?}").to_lowercase()),
            "since": self.since.to_string(),
            "policy": server.map(|server| server.digest.clone()),
            "secrets": secrets, "renewals": self.state.renewals(),
            "remote": server.and_then(|server| server.bridge.as_ref()).map(remote),
            "credentials_end": server.and_then(|server| server.mints.ends()),
            "renewal_failed": server.and_then(|server| server.mints.trouble.as_ref()).map(|error| error.code.name()),
            "credentials_refused": server.and_then(|server| match server.suspicion {
                Suspicion::Since(at) => Some(at.as_second()),
                Suspicion::None | Suspicion::Asked => None,
            }),
            "code": self.state.trouble().map(crate::error::Code::name),
        })
    }
}

/// The connection to a remote server.
fn remote(link: &BridgeLink) -> Value {
    json!({
        "host": link.host(), "transport": link.state.transport,
        "protocol": link.state.protocol, "session": link.state.has_session,
        "paused_until": link.state.paused_until, "token_expires": link.token_expires(),
    })
}
