//! `mcpwrap check`: gathers facts of this machine or of paths, runs the checks and shows the report.
//!
//! Invariants: read only, except that `--verify` keeps the expiry dates that it learns. Only `--verify`, which asks first, reads the keychain. Only `--verify` and
//! `--online`, which sends no secret, use the network.

mod online;
mod plan;
mod show;
mod verify;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, print, verifying};
use crate::check::{self, CheckReport, Facts, Ignores, LIST, Severity};
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::files::io_text;
use crate::package::AdvisoryFile;
use crate::scan::path::shown;
use crate::scan::stored::{self, StoredSecrets};
use crate::scan::{copies, machine, repository};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories to check [default: this machine]
    path: Vec<PathBuf>,
    /// Treat this file as a client config (repeatable)
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    config: Vec<PathBuf>,
    /// Limit a machine check to this client (repeatable)
    #[arg(long, value_name = "ID", conflicts_with = "path")]
    client: Vec<String>,
    /// Exit 1 if a finding has at least this severity
    #[arg(long, value_name = "LEVEL", default_value = "high")]
    fail_on: FailOn,
    /// Ask providers whether secrets are valid (asks first, opens the store)
    #[arg(long)]
    verify: bool,
    /// Ask registries about pinned packages (sends no secret)
    #[arg(long, conflicts_with_all = ["path", "config"])]
    online: bool,
    /// Look up advisories in these OSV records, not at registries
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "config"])]
    advisories: Option<PathBuf>,
    /// Show all findings, even beyond one screen
    #[arg(long, alias = "all", conflicts_with_all = ["json", "sarif"])]
    no_limit: bool,
    /// Print JSON (see docs/checks.md)
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print SARIF 2.1.0, for code scanning
    #[arg(long)]
    sarif: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    Never,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.verify {
        verifying::refuse_agents(cx, "check --verify")?;
    }
    let advisories = advisory_file(args)?;
    let on_machine = args.path.is_empty() && args.config.is_empty();
    let mut ignores = Ignores::default();
    let mut facts = Facts::new(jiff::ZonedDateTime::now().date());
    let mut targets = Vec::new();
    if on_machine {
        list(
            &mut ignores,
            &cx.dirs.check_list(),
            &cx.dirs.tilde(&cx.dirs.check_list()),
            "",
        );
        targets = machine::files(&cx.dirs, &args.client, &mut facts)?;
    } else {
        for path in args.path.iter().chain(&args.config) {
            path.symlink_metadata().map_err(|error| {
                Error::new(
                    Code::FileUnusable,
                    format!("cannot check `{}`", path.display()),
                )
                .cause(io_text(&error))
            })?;
        }
        for root in roots(&args.path, &args.config) {
            let path = root.join(LIST);
            list(&mut ignores, &path, &shown(&path), &shown(&root));
        }
        repository::files(&args.path, &args.config, &mut facts);
    }
    let stored: Option<StoredSecrets> = if args.verify {
        stored::open(&cx.dirs)?
    } else {
        None
    };
    if on_machine {
        facts.machine = Some(machine::facts(&cx.dirs, stored.as_ref()));
        copies::find(&cx.dirs, &targets, stored.as_ref(), &mut facts);
    }
    if args.verify {
        stored::copies(stored.as_ref(), &mut facts);
        stored::kinds(stored.as_ref(), &mut facts);
        verify::ask(cx, stored.as_ref(), &mut facts)?;
    }
    if on_machine {
        let unknown = online::ask(&cx.dirs, args.online, advisories.as_ref(), &mut facts);
        facts.not_checked = not_checked(args, &facts, unknown);
    }
    let mut report = check::run(&facts, &ignores);
    if on_machine {
        report.adopts = plan::adopts(cx, &args.client, &report.findings);
    }
    if args.json {
        print::json(&check::json(&report));
    } else if args.sarif {
        print::json(&check::sarif(&report));
    } else {
        show::report(&report, &args.client, args.no_limit);
    }
    for note in &report.notes {
        print::note(note);
    }
    Ok(if args.fail_on.is_reached(&report) {
        EXIT_NO
    } else {
        0
    })
}

fn advisory_file(args: &Args) -> Result<Option<AdvisoryFile>> {
    let file = args.advisories.as_deref().map(AdvisoryFile::read);
    file.transpose()
}

impl FailOn {
    fn is_reached(self, report: &CheckReport) -> bool {
        match self {
            Self::Critical => report.fails(Severity::Critical),
            Self::High => report.fails(Severity::High),
            Self::Medium => report.fails(Severity::Medium),
            Self::Low => report.fails(Severity::Low),
            Self::Never => false,
        }
    }
}

/// What a check of this machine does not look into.
fn not_checked(args: &Args, facts: &Facts, unknown: Vec<String>) -> Vec<String> {
    let mut left = unknown;
    if !args.client.is_empty() {
        left.push("the configs of other clients (leave out `--client`)".to_owned());
    }
    let machine = facts.machine.as_ref();
    let has_secrets = machine
        .and_then(|machine| machine.index.as_ref().ok())
        .is_some_and(|index| !index.secrets.is_empty());
    if has_secrets && !args.verify {
        left.push(
            "the values in the store: whether providers accept them, what they allow, and copies of them \
             in files (`--verify`)"
                .to_owned(),
        );
    }
    let has_stores = machine.is_some_and(|machine| {
        machine
            .read_policies()
            .any(|(_, policy)| policy.store_references().next().is_some())
    });
    if has_stores {
        left.push(
            "the values in other stores: whether they exist, and whether the store works \
             (`mcpwrap store check NAME`)"
                .to_owned(),
        );
    }
    left.extend([
        "projects that no client's file names (`mcpwrap check DIR`)".to_owned(),
        "servers and connectors that an account keeps online, and sign-ins with OAuth".to_owned(),
        "other users, containers and virtual machines".to_owned(),
    ]);
    left
}

/// Where lists of accepted findings may be: each directory, and the working directory if files are
/// named.
fn roots(paths: &[PathBuf], configs: &[PathBuf]) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for path in paths.iter().chain(configs) {
        let root = if path.is_dir() {
            path.clone()
        } else {
            PathBuf::new()
        };
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// Reads a list of accepted findings, if it exists.
fn list(ignores: &mut Ignores, path: &Path, shown: &str, root: &str) {
    if path.exists() && !path.is_file() {
        return ignores.unread(shown, "not a regular file");
    }
    match std::fs::read_to_string(path) {
        Ok(text) => ignores.add(shown, root, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
        Err(error) => ignores.unread(shown, &io_text(&error)),
    }
}
