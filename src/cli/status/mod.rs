//! `mcpwrap status`: shows paths and whether the store works. Reads no item of the keychain.

mod credentials;
mod logins;
mod program;

use std::collections::BTreeMap;

use serde::Serialize;

use self::credentials::CredentialStatus;
use self::logins::{LoginStatus, UnrevokedStatus};
use self::program::ProgramStatus;
use super::{Context, print};
use crate::audit::{disk, forward, journal};
use crate::client::agents;
use crate::config::{Anchoring, Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::oauth::index::OAuthIndex;
use crate::ops::notes::refused;
use crate::store::{self, Index};
use crate::sys::cgroup;
use crate::sys::fence::{self, Fence};
use crate::sys::wall::{self, WallParts};
use crate::{grant, policy, session_lock};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON (see docs/secrets.md)
    #[arg(long)]
    json: bool,
}

/// What is shown; `docs/secrets.md` describes the JSON.
#[derive(Serialize)]
struct StatusOutput {
    version: &'static str,
    program: ProgramStatus,
    config: String,
    config_exists: bool,
    store: StoreStatus,
    secrets: SecretStatus,
    policies: Vec<PolicyStatus>,
    /// Whether `mcpwrap lock --sessions` keeps all servers from running.
    sessions_locked: bool,
    logins: Vec<LoginStatus>,
    /// Short-lived credentials that can be withdrawn.
    credentials: Vec<CredentialStatus>,
    /// Tokens that were removed and may still be valid at their issuer.
    unrevoked: Vec<UnrevokedStatus>,
    audit: String,
    /// Why no record can be written.
    audit_error: Option<String>,
    anchor: AnchorStatus,
    diagnostics: String,
    /// What the fence around each server prevents on this kernel.
    fence: Fence,
    /// Whether servers that are started from here get a control group of their own.
    groups: bool,
    /// What this kernel has of the wall around a bridge.
    wall: WallParts,
    /// The variable that shows that an AI agent runs the command.
    agent: Option<&'static str>,
}

/// Whether the head of the audit log goes to the systemd journal.
#[derive(Serialize)]
struct AnchorStatus {
    setting: Anchoring,
    /// Whether this machine has a journal.
    journal: bool,
    /// How many anchors the journal did not take.
    undelivered: u64,
}

#[derive(Serialize)]
struct StoreStatus {
    kind: StoreKind,
    works: bool,
    /// The code of the problem.
    error: Option<&'static str>,
    cause: Option<String>,
    hint: Option<String>,
    key: Option<String>,
    strength: Option<&'static str>,
}

#[derive(Serialize)]
struct SecretStatus {
    count: usize,
    expired: Vec<String>,
    /// Those that lay in plaintext and have not changed since.
    exposed: Vec<String>,
}

#[derive(Serialize)]
struct PolicyStatus {
    server: String,
    /// `granted`, or the code of the problem.
    state: &'static str,
    /// Why it does not start although it is granted, and what changes that.
    refused: Option<String>,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let dirs = &cx.dirs;
    let config = Config::load(dirs)?;
    let index = Index::load(dirs)?;
    let oauth = OAuthIndex::load(dirs)?;
    let now = jiff::Timestamp::now();
    let expired = index
        .secrets
        .iter()
        .filter(|(_, one)| one.expires.is_some_and(|end| end.is_over(now)));
    let status = StatusOutput {
        version: env!("CARGO_PKG_VERSION"),
        program: program::status(dirs)?,
        config: dirs.tilde(&dirs.config_file()),
        config_exists: dirs.config_file().exists(),
        store: store_status(dirs, &config),
        secrets: SecretStatus {
            count: index.secrets.len(),
            expired: expired.map(|(name, _)| name.to_string()).collect(),
            exposed: index.exposed().map(|(name, _)| name.to_string()).collect(),
        },
        policies: policies(dirs, &config),
        sessions_locked: session_lock::is_locked(dirs),
        credentials: credentials::credentials(dirs)?,
        logins: logins::logins(&oauth, jiff::Timestamp::now().as_second()),
        unrevoked: logins::unrevoked(&oauth),
        audit: dirs.tilde(&dirs.audit()),
        audit_error: disk::trouble(&dirs.audit()),
        anchor: AnchorStatus {
            setting: config.audit().anchor,
            journal: journal::is_there(),
            undelivered: forward::undelivered_anchors(&dirs.audit()),
        },
        diagnostics: dirs.tilde(&dirs.log()),
        fence: fence::kind(),
        groups: cgroup::is_usable(),
        wall: wall::parts(),
        agent: agents::find().map(|agent| agent.variable),
    };
    for (name, error) in &config.broken_stores {
        print::warning(&format!(
            "store `{name}` cannot be used: {}",
            error.reasons()
        ));
    }
    if args.json {
        let text = serde_json::to_string_pretty(&status).expect("a status is always valid JSON");
        print::line(&text);
    } else {
        print::line(&text(&status));
    }
    let works = status.store.works && status.audit_error.is_none();
    Ok(if works { 0 } else { EXIT_NO })
}

fn store_status(dirs: &Dirs, config: &Config) -> StoreStatus {
    let problem: Option<Error> = store::probe(dirs, config)
        .and_then(|()| store::check_home(dirs))
        .err();
    let key = store::key(dirs, config).ok().flatten();
    StoreStatus {
        kind: config.store,
        works: problem.is_none(),
        error: problem.as_ref().map(|error| error.code.name()),
        cause: problem
            .as_ref()
            .and_then(|error| error.causes.first().map(ToString::to_string)),
        hint: problem
            .as_ref()
            .and_then(|error| error.hints.first().cloned()),
        strength: key.as_ref().map(|key| key.strength),
        key: key.map(|key| key.description),
    }
}

fn policies(dirs: &Dirs, config: &Config) -> Vec<PolicyStatus> {
    let state = |policy: Result<policy::Policy>| {
        let grant = policy.and_then(|policy| grant::find(dirs, &policy));
        match grant.map(|grant| grant.program_changed()) {
            Ok(false) => "granted",
            Ok(true) => Code::ProgramChanged.name(),
            Err(error) => error.code.name(),
        }
    };
    let why = |policy: &Result<policy::Policy>| refused(policy.as_ref().ok()?, config);
    policy::list(dirs)
        .into_iter()
        .map(|(server, policy)| PolicyStatus {
            server: server.to_string(),
            refused: why(&policy),
            state: state(policy),
        })
        .collect()
}

fn anchors(status: &AnchorStatus) -> String {
    let place = match (status.setting, status.journal) {
        (Anchoring::Off, _) => "off, as the `[audit]` section says",
        (Anchoring::Auto, true) => "the systemd journal",
        (Anchoring::Auto, false) => "none, because this machine has no systemd journal",
    };
    match status.undelivered {
        0 => place.to_owned(),
        count => format!("{place}; {} not delivered", print::count(count, "anchor")),
    }
}

const fn fence_text(fence: Fence) -> &'static str {
    match fence {
        Fence::Full => "full: servers cannot signal or trace other processes",
        Fence::Partial => {
            "partial: servers cannot trace other processes, but can signal them (needs Linux 6.12)"
        }
        Fence::None => "none: this kernel does not keep servers from other processes",
    }
}

fn wall_text(parts: WallParts) -> String {
    let missing = parts.missing();
    if missing.is_empty() {
        "full: the bridge to a remote server reaches neither files, programs nor local sockets"
            .to_owned()
    } else {
        format!(
            "this kernel does not limit {} of the bridge to a remote server",
            missing.join(", ")
        )
    }
}

/// One line for each state, with its servers.
fn policy_lines(policies: &[PolicyStatus]) -> Vec<String> {
    let mut states: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for policy in policies {
        let state = (policy.state, policy.refused.is_some());
        states.entry(state).or_default().push(&policy.server);
    }
    if states.is_empty() {
        return vec!["none yet".to_owned()];
    }
    let line = |((state, is_refused), servers): ((&str, bool), Vec<&str>)| {
        let refused = if is_refused {
            ", will be refused (not pinned)"
        } else {
            ""
        };
        format!("{state}{refused}: {}", servers.join(", "))
    };
    states.into_iter().map(line).collect()
}

fn audit_lines(status: &StatusOutput) -> Vec<(&'static str, String)> {
    let mut lines = vec![("audit log", status.audit.clone())];
    let trouble = status.audit_error.iter();
    lines.extend(trouble.map(|why| ("", format!("no server starts: it cannot be written: {why}"))));
    lines
}

fn text(status: &StatusOutput) -> String {
    let mut lines = vec![("mcpwrap", status.version.to_owned())];
    lines.extend(program::lines(&status.program));
    let absent = if status.config_exists {
        ""
    } else {
        " (missing: using the defaults)"
    };
    lines.push(("config", format!("{}{absent}", status.config)));
    let store = &status.store;
    lines.push((
        "store",
        match store.error {
            None => format!("{}, works", store.kind),
            Some(code) => format!("{}, does not work [{code}]", store.kind),
        },
    ));
    lines.extend(store.cause.iter().map(|cause| ("", cause.clone())));
    lines.extend(store.hint.iter().map(|hint| ("", hint.clone())));
    lines.extend(store.key.iter().map(|key| ("key", key.clone())));
    lines.extend(store.strength.iter().map(|text| ("", (*text).to_owned())));
    let expired = &status.secrets.expired;
    let passed = if expired.is_empty() {
        String::new()
    } else {
        format!("; expired: {}", expired.join(", "))
    };
    lines.push(("secrets", format!("{}{passed}", status.secrets.count)));
    let exposed = &status.secrets.exposed;
    if !exposed.is_empty() {
        lines.push((
            "",
            format!("were in plaintext, so rotate them: {}", exposed.join(", ")),
        ));
    }
    let heads = std::iter::once("policies").chain(std::iter::repeat(""));
    lines.extend(heads.zip(policy_lines(&status.policies)));
    if status.sessions_locked {
        let text = "the sessions are locked: no server runs until `mcpwrap unlock`";
        lines.push(("sessions", text.to_owned()));
    }
    let logins = logins::lines(&status.logins);
    let heads = std::iter::once("logins").chain(std::iter::repeat(""));
    lines.extend(heads.zip(logins));
    let heads = std::iter::once("minted").chain(std::iter::repeat(""));
    lines.extend(heads.zip(credentials::lines(&status.credentials)));
    let unrevoked = logins::unrevoked_lines(&status.unrevoked);
    let heads = std::iter::once("unrevoked").chain(std::iter::repeat(""));
    lines.extend(heads.zip(unrevoked));
    lines.extend(audit_lines(status));
    lines.push(("anchors", anchors(&status.anchor)));
    lines.push(("fence", fence_text(status.fence).to_owned()));
    let groups = if status.groups {
        "each server has a control group of its own, which ends all of its processes at once"
    } else {
        "none: no control group is delegated to this session, so processes are ended one by one"
    };
    lines.push(("groups", groups.to_owned()));
    lines.push(("wall", wall_text(status.wall)));
    if let Some(name) = status.agent {
        lines.push((
            "agent",
            format!("`{name}` is set here or above: agents may not change what is allowed"),
        ));
    }
    let lines: Vec<_> = lines
        .iter()
        .map(|(head, text)| format!("{head:<10} {text}"))
        .collect();
    lines.join("\n")
}
