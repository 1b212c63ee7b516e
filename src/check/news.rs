//! Findings about what became of a pinned package since it was pinned.

use super::finding::{Finding, Fix, Location, Severity};
use crate::error::printable;
use crate::package::{Advisory, AdvisorySeverity, PackageNews, PublishedStatus};
use crate::policy::Package;

const DEPRECATED: &str = "its publisher advises against it, and faults in it may never be fixed";
const YANKED: &str = "versions are withdrawn because they are broken, or unsafe";
const REMOVED: &str =
    "registries remove versions that are malicious, or that their authors withdraw";
const ADVISORY: &str = "the fault is public, and the package runs with the server's secrets";

/// The findings for one server.
pub(super) fn findings(
    check: &'static str,
    (server, location): (&str, &Location),
    package: &Package,
    news: &PackageNews,
) -> Vec<Finding> {
    let add = |severity: Severity, what: String, why: &'static str| {
        let fix = Fix::Run(format!("mcpwrap pin {server} --to latest"));
        let rule = (check, severity);
        Finding::new(rule, location.clone(), what, why, fix).for_server(server)
    };
    let pinned = format!("`{}@{}`", package.name, package.version);
    let status = match &news.status {
        None | Some(PublishedStatus::Current) => None,
        Some(PublishedStatus::Deprecated(text)) => {
            let what = format!("{pinned} is deprecated: {}", printable(text));
            Some(add(Severity::Medium, what, DEPRECATED))
        }
        Some(PublishedStatus::Yanked(text)) => {
            let what = format!("{pinned} was withdrawn (yanked): {}", printable(text));
            Some(add(Severity::Medium, what, YANKED))
        }
        Some(PublishedStatus::Removed) => {
            let what = format!("{pinned} is no longer in its registry");
            Some(add(Severity::High, what, REMOVED))
        }
    };
    let found = news.advisories.iter().flat_map(|answer| &answer.found);
    let advisories = found.map(|one| {
        let what = format!(
            "`{}@{}` has an advisory: {}",
            one.package,
            one.version,
            printable(&one.summary())
        );
        add(severity(one), what, ADVISORY)
    });
    status.into_iter().chain(advisories).collect()
}

/// An unknown severity may be any of them.
fn severity(advisory: &Advisory) -> Severity {
    match advisory.severity {
        Some(AdvisorySeverity::Critical) => Severity::Critical,
        Some(AdvisorySeverity::High) | None => Severity::High,
        Some(AdvisorySeverity::Medium) => Severity::Medium,
        Some(AdvisorySeverity::Low) => Severity::Low,
    }
}
