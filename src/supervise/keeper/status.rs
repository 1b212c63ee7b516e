//! What a supervisor tells of itself.

use serde_json::{Value, json};

use super::Keeper;
use crate::supervise::request;
use crate::sys::tree;

impl Keeper {
    /// What `mcpwrap ps` shows; docs/control.md has the shape.
    pub(in crate::supervise) fn status(&self) -> Value {
        let inner = self.shared.lock();
        let client = inner.session.client().clone();
        let era = inner.session.era();
        drop(inner);
        let state = match (&self.current, &self.candidate, &self.trouble) {
            _ if self.ending.is_some() => "ending",
            (Some(_), Some(_), _) => "renewing",
            (Some(_), None, _) => "running",
            (None, Some(_), _) => "starting",
            (None, None, _) => "suspended",
        };
        let server = self.current.as_ref();
        let secrets: Vec<Value> = server
            .map(|server| {
                let injected = server.injected.iter();
                injected
                    .map(|one| {
                        json!({
                            "name": one.name.as_str(), "variable": one.variable,
                            "fingerprint": one.fingerprint.to_string(),
                        })
                    })
                    .collect()
            })
            .unwrap_or_default();
        let tree: Vec<i32> = server
            .map(|server| {
                tree::descendants(server.guard_pid())
                    .iter()
                    .map(|pid| pid.as_raw())
                    .collect()
            })
            .unwrap_or_default();
        json!({
            "v": request::VERSION, "ok": true,
            "server": self.options.server.as_str(), "supervisor": std::process::id(),
            "state": state,
            "pid": server.map(|server| server.pid), "tree": tree,
            "client": {"name": client.name, "version": client.version},
            "era": era.map(|era| format!("{era:?}").to_lowercase()),
            "since": self.since.to_string(),
            "policy": server.map(|server| server.digest.clone()),
            "secrets": secrets, "renewals": self.renewals,
            "code": self.trouble.as_ref().map(|error| error.code.name()),
        })
    }
}
