//! `mcpwrap pin --outdated`: which pinned packages have a newer version.

use std::ops::ControlFlow;

use serde_json::json;

use crate::cli::{Context, print};
use crate::config::{Config, MinAge};
use crate::dirs::Dirs;
use crate::error::{EXIT_ERROR, EXIT_NO, Result};
use crate::ops::registries::{self, JobEvent, RegistryJob};
use crate::package::{self, Cutoff};
use crate::policy::{self, Package, Policy};
use crate::secret::ServerName;

/// What was asked for one server.
struct OutdatedRow {
    policy: Policy,
    pinned: Package,
    /// None: there is no answer.
    latest: Option<String>,
}

/// Lists the outdated packages of these servers, or of all. 1 if there are any, 2 if a registry did
/// not answer.
pub(super) fn run(args: &super::Args, cx: &Context) -> Result<u8> {
    let (servers, dirs) = (&args.server, &cx.dirs);
    let age = Config::load(dirs)?.min_age(args.min_age)?;
    let before = Cutoff::of_age(age.unwrap_or(MinAge::DEFAULT), age.is_some());
    let mut rows = Vec::new();
    let mut unpinned = Vec::new();
    for (server, policy) in policy::list(dirs) {
        if !servers.is_empty() && !servers.contains(&server) {
            continue;
        }
        let policy = policy?;
        match &policy.package {
            Some(pinned) if package::has_versions(pinned) => rows.push(OutdatedRow {
                pinned: pinned.clone(),
                policy,
                latest: None,
            }),
            _ => unpinned.push(server),
        }
    }
    for server in servers {
        policy::load(dirs, server, None)?;
    }
    ask(dirs, before, &mut rows);
    let (known, unknown): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.latest.is_some());
    let outdated: Vec<_> = known.iter().filter(|row| row.is_outdated()).collect();
    if args.json {
        let entry = |row: &&&OutdatedRow| {
            json!({
                "server": row.policy.server.as_str(), "package": row.pinned.name,
                "version": row.pinned.version, "latest": row.latest,
            })
        };
        let names = |rows: &[&OutdatedRow]| {
            let names = rows.iter().map(|row| row.policy.server.as_str());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        print::json(&json!({
            "outdated": outdated.iter().map(entry).collect::<Vec<_>>(),
            "unanswered": names(&unknown),
        }));
    } else {
        show(&outdated, known.len(), &unknown, &unpinned);
    }
    Ok(match (unknown.is_empty(), outdated.is_empty()) {
        (false, _) => EXIT_ERROR,
        (true, false) => EXIT_NO,
        (true, true) => 0,
    })
}

impl OutdatedRow {
    fn is_outdated(&self) -> bool {
        let newer = |latest: &String| package::is_newer(&self.pinned, latest);
        self.latest.as_ref().is_some_and(newer)
    }
}

/// Asks the registries, several packages at once.
fn ask(dirs: &Dirs, before: Option<Cutoff>, rows: &mut [OutdatedRow]) {
    let asked: Vec<_> = rows
        .iter()
        .map(|row| (row.policy.clone(), row.pinned.clone()))
        .collect();
    let job = |(policy, pinned): &(Policy, Package)| {
        let key = format!(
            "{:?} {} {}",
            pinned.registry, pinned.name, pinned.interpreter
        );
        RegistryJob::new(key, &policy.command)
    };
    let latest =
        |(policy, pinned): &(Policy, Package)| package::latest(dirs, policy, pinned, before);
    registries::for_each(&asked, job, latest, &mut |event| {
        if let JobEvent::Done(at, Some(result)) = event {
            match (result, rows.get_mut(at)) {
                (Ok(latest), Some(row)) => row.latest = Some(latest),
                (Err(error), Some(row)) => {
                    let what = format!("cannot ask about server `{}`", row.policy.server);
                    print::error(&error.context(&what));
                }
                (_, None) => {}
            }
        }
        ControlFlow::Continue(())
    });
}

fn show(
    outdated: &[&&OutdatedRow],
    known: usize,
    unknown: &[&OutdatedRow],
    unpinned: &[ServerName],
) {
    let cells = |row: &&&OutdatedRow| {
        vec![
            row.policy.server.to_string(),
            row.pinned.name.clone(),
            row.pinned.version.clone(),
            row.latest.clone().unwrap_or_default(),
        ]
    };
    if !outdated.is_empty() {
        print::table(
            &["SERVER", "PACKAGE", "PINNED", "LATEST"],
            outdated.iter().map(cells),
        );
    }
    let all = known + unknown.len();
    print::note(&match (all, outdated.len()) {
        (0, _) => "nothing to check: no policy has a pinned package from npm or PyPI".to_owned(),
        (_, 0) => format!(
            "{known} of {} up to date",
            print::count(all, "pinned package")
        ),
        (_, outdated) => format!(
            "{outdated} of {} outdated",
            print::count(all, "pinned package")
        ),
    });
    if !unknown.is_empty() {
        let names = print::names(unknown.iter().map(|row| &row.policy.server));
        print::warning(&format!("no answer from the registry for: {names}"));
    }
    if !unpinned.is_empty() {
        print::note(&format!(
            "not asked, because they have no pinned package from npm or PyPI: {}",
            print::names(unpinned)
        ));
    }
}
