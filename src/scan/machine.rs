//! Facts about this user's machine: client configs, policies, secret names, the audit log and
//! running supervisors. Reads only, and accesses no item of the keychain.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;

use super::clients;
use super::env_files::env_files;
use super::stored::StoredSecrets;
use crate::audit::breaks::Break;
use crate::audit::journal;
use crate::audit::record::ChainKey;
use crate::audit::verify::verify;
use crate::check::{
    AuditLog, AuditState, ConfigFile, Facts, LastDrill, LoadedPolicy, LoginFacts, Machine,
    SupervisorState, SuspectFacts,
};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::drill::{self, Drill};
use crate::error::Result;
use crate::grant;
use crate::oauth::index::OAuthIndex;
use crate::package::{self, Depth, PackageNews};
use crate::policy::{self, load};
use crate::store::Index;
use crate::supervise::find;
use crate::supervise::running::Running;
use crate::suspects::SuspectIndex;

/// Adds the client configs to the facts, and returns the files.
///
/// # Errors
/// `usage` for an unknown client.
pub fn files(dirs: &Dirs, names: &[String], facts: &mut Facts) -> Result<Vec<PathBuf>> {
    let files = clients::scan(dirs, names, &[])?;
    let mut targets = Vec::new();
    for found in files.found {
        let shown = dirs.tilde(&found.path);
        let file = match &found.document {
            Err(why) if found.bytes.is_empty() => {
                ConfigFile::unread(shown, found.client, why.clone())
            }
            _ => ConfigFile::new(shown, found.client, true, found.bytes),
        };
        let dir = found.target.parent().map(PathBuf::from);
        let shown_of = |path: &std::path::Path| dirs.tilde(path);
        let variables = env_files(&file, &dir.unwrap_or_default(), None, shown_of);
        facts.files.push(file);
        facts.files.extend(variables);
        targets.push(found.target);
    }
    Ok(targets)
}

/// Adds everything else.
pub fn facts(dirs: &Dirs, stored: Option<&StoredSecrets>) -> Machine {
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
        policies: policies(dirs),
        config: Config::load(dirs),
        index: Index::load(dirs),
        index_shown: dirs.tilde(&dirs.secrets_index()),
        logins: LoginFacts {
            index: OAuthIndex::load(dirs),
            shown: dirs.tilde(&OAuthIndex::path(dirs)),
            now: Timestamp::now().as_second(),
        },
        suspects: SuspectFacts {
            index: SuspectIndex::load(dirs),
            shown: dirs.tilde(&dirs.suspects()),
        },
        audit: audit(dirs, stored),
        supervisors: supervisors(dirs),
        drill,
        drill_shown: dirs.tilde(&drill_file),
        leftovers: Vec::new(),
        logged: Vec::new(),
    }
}

fn policies(dirs: &Dirs) -> Vec<LoadedPolicy> {
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
            LoadedPolicy {
                shown: dirs.tilde(&path),
                profiles: profiles.collect(),
                is_granted: policy
                    .as_ref()
                    .is_ok_and(|policy| grant::find(dirs, policy).is_ok()),
                installed: policy
                    .as_ref()
                    .map_or(Ok(()), |policy| package::verify(policy, dirs, Depth::Full)),
                news: PackageNews::default(),
                server,
                policy,
            }
        })
        .collect()
}

fn audit(dirs: &Dirs, stored: Option<&StoredSecrets>) -> AuditLog {
    let dir = dirs.audit();
    let key = stored.map(|stored| ChainKey::new(&stored.keys));
    let mut anchors: Vec<_> = stored.and_then(|stored| stored.head).into_iter().collect();
    if let Some(key) = &key {
        anchors.extend(journal::read(key, &dir).heads());
    }
    let state = if dir.exists() || !anchors.is_empty() {
        match verify(&dir, key.as_ref(), &anchors) {
            Ok(report) if report.records == 0 && report.breaks.is_empty() => AuditState::Absent,
            Ok(report) => {
                let one = |found: &Break| (found.file.clone(), found.describe(false));
                let mut breaks: Vec<_> = report.breaks.iter().map(one).collect();
                let noted = report.told.iter();
                let noted = noted.filter(|first| !report.breaks.iter().any(|b| b.first == **first));
                breaks.extend(noted.map(|first| {
                    (
                        String::new(),
                        format!("the log has a record of a break at record {first}"),
                    )
                }));
                AuditState::Read(breaks)
            }
            Err(problem) => AuditState::Unreadable(format!("`{}`: {problem}", dirs.tilde(&dir))),
        }
    } else {
        AuditState::Absent
    };
    AuditLog {
        shown: dirs.tilde(&dir),
        state,
    }
}

fn supervisors(dirs: &Dirs) -> Vec<SupervisorState> {
    let running = find::find(dirs, false).running;
    std::thread::scope(|scope| {
        let asked: Vec<_> = running
            .iter()
            .map(|one| scope.spawn(|| supervisor(dirs, one)))
            .collect();
        asked
            .into_iter()
            .filter_map(|answer| answer.join().ok())
            .collect()
    })
}

fn supervisor(dirs: &Dirs, one: &Running) -> SupervisorState {
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
    SupervisorState {
        server: one.server.clone(),
        pid: one.pid(),
        socket: one
            .socket()
            .map_or_else(|| "process table".to_owned(), |path| dirs.tilde(path)),
        holds,
    }
}
