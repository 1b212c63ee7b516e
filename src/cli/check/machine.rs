//! What this user's machine has: the clients' files, policies, secrets by name, the audit log,
//! running supervisors. Reads only; touches no item of the keychain.

use std::path::PathBuf;

use serde_json::Value;

use super::verify::Opened;
use super::walk;
use crate::audit::record::Key;
use crate::audit::verify::{Break, verify};
use crate::check::{
    AuditLog, AuditState, ConfigFile, LastDrill, Machine, PolicyFile, Scene, Supervisor,
};
use crate::cli::adopt::look;
use crate::cli::drill::{self, Drill};
use crate::cli::{Context, log};
use crate::error::Result;
use crate::files::io_text;
use crate::package::{self, Depth};
use crate::policy::{self, load};
use crate::store::Index;
use crate::supervise::running::{self, Running};

/// Reads the clients' files into the scene, and returns where they are.
///
/// # Errors
/// `usage` for a client that is not known.
pub(super) fn files(cx: &Context, clients: &[String], scene: &mut Scene) -> Result<Vec<PathBuf>> {
    let looked = look::look(cx, clients, &[])?;
    let mut targets = Vec::new();
    for found in looked.found {
        let shown = cx.dirs.tilde(&found.path);
        let file = match &found.document {
            Err(why) if found.bytes.is_empty() => {
                ConfigFile::unread(shown, found.client, why.clone())
            }
            _ => ConfigFile::new(shown, found.client, true, found.bytes),
        };
        let dir = found.target.parent().map(PathBuf::from);
        let shown_of = |path: &std::path::Path| cx.dirs.tilde(path);
        let variables = walk::variables(&file, &dir.unwrap_or_default(), None, shown_of);
        scene.files.push(file);
        scene.files.extend(variables);
        targets.push(found.target);
    }
    Ok(targets)
}

/// Everything else.
pub(super) fn look(cx: &Context, opened: Option<&Opened>) -> Machine {
    let dirs = &cx.dirs;
    let drill_file = drill::result_file(dirs);
    let drill = std::fs::read(&drill_file)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Drill>(&bytes).ok())
        .and_then(|drill| {
            Some(LastDrill {
                time: drill.time.parse().ok()?,
                ok: drill.ok,
            })
        });
    Machine {
        policies: policies(cx),
        index: Index::load(dirs),
        index_shown: dirs.tilde(&dirs.secrets_index()),
        audit: audit(cx, opened),
        supervisors: supervisors(cx),
        drill,
        drill_shown: dirs.tilde(&drill_file),
        leftovers: Vec::new(),
        logged: Vec::new(),
    }
}

fn policies(cx: &Context) -> Vec<PolicyFile> {
    let dirs = &cx.dirs;
    policy::list(dirs)
        .into_iter()
        .map(|(server, policy)| {
            let path = match &policy {
                Ok(policy) => policy.path.clone(),
                Err(_) => load::path(dirs, &server),
            };
            let profiles = policy.iter().flat_map(|policy| {
                let with = |name| load::with_profile(dirs, policy, name).ok();
                policy.profiles.iter().filter_map(with)
            });
            PolicyFile {
                shown: dirs.tilde(&path),
                profiles: profiles.collect(),
                installed: policy
                    .as_ref()
                    .map_or(Ok(()), |policy| package::verify(policy, dirs, Depth::Full)),
                server,
                policy,
            }
        })
        .collect()
}

fn audit(cx: &Context, opened: Option<&Opened>) -> AuditLog {
    let dir = cx.dirs.audit();
    let key = opened.map(|opened| Key::new(&opened.keys));
    let anchors: Vec<_> = opened.and_then(|opened| opened.head).into_iter().collect();
    let state = if dir.exists() || !anchors.is_empty() {
        match verify(&dir, key.as_ref(), &anchors) {
            Ok(report) if report.records == 0 && report.breaks.is_empty() => AuditState::Absent,
            Ok(report) => {
                let one = |found: &Break| (found.file.clone(), log::verify::sentence(found, false));
                let mut breaks: Vec<_> = report.breaks.iter().map(one).collect();
                let told = report.told.iter();
                let told = told.filter(|first| !report.breaks.iter().any(|b| b.first == **first));
                breaks.extend(told.map(|first| {
                    (
                        String::new(),
                        format!("the log itself tells of a break at record {first}"),
                    )
                }));
                AuditState::Read(breaks)
            }
            Err(problem) => AuditState::Unreadable(format!("`{}`: {problem}", cx.dirs.tilde(&dir))),
        }
    } else {
        AuditState::Absent
    };
    AuditLog {
        shown: cx.dirs.tilde(&dir),
        state,
    }
}

fn supervisors(cx: &Context) -> Vec<Supervisor> {
    let running = running::look(&cx.dirs);
    std::thread::scope(|scope| {
        let asked: Vec<_> = running
            .iter()
            .map(|one| scope.spawn(|| supervisor(cx, one)))
            .collect();
        asked
            .into_iter()
            .filter_map(|answer| answer.join().ok())
            .collect()
    })
}

fn supervisor(cx: &Context, one: &Running) -> Supervisor {
    let text = |secret: &Value, field: &str| {
        let field = secret.get(field).and_then(Value::as_str);
        field.unwrap_or_default().to_owned()
    };
    let holds = one.status().map(|status| {
        let secrets = status.get("secrets").and_then(Value::as_array);
        let secrets = secrets.into_iter().flatten();
        secrets
            .map(|secret| (text(secret, "name"), text(secret, "fingerprint")))
            .collect()
    });
    Supervisor {
        server: one.server.clone(),
        pid: one.pid,
        socket: cx.dirs.tilde(one.socket()),
        holds,
    }
}

/// Why a file is not read, in words.
pub(super) fn why(error: &std::io::Error) -> String {
    format!("it cannot be read: {}", io_text(error))
}
