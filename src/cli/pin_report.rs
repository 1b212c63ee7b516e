//! The facts of an installation that `mcpwrap pin` shows before it asks.

use crate::cli::print;
use crate::error::printable;
use crate::package::{Advisory, AdvisoryAnswer, DifferenceKind, PackageChanges, PinReport};
use crate::policy::Package;

/// Names shown of a list.
const NAMES_MAX: usize = 12;

/// The facts of an installation, in lines.
pub(super) fn text(package: &Package, report: &PinReport, before: Option<&Package>) -> String {
    let mut lines = vec![("package", package.to_string())];
    if let Some(before) = before.filter(|before| before.version != package.version) {
        lines.push(("before", before.to_string()));
    }
    let by = match (&report.publisher, report.maintainers.as_slice()) {
        (Some(publisher), _) => format!(" by {publisher}"),
        (None, []) => String::new(),
        (None, people) => format!(" by {}", short(people)),
    };
    if let Some(date) = &report.published {
        lines.push(("published", format!("{date}{by}")));
    }
    if let Some(before) = &report.publisher_before {
        lines.push(("PUBLISHER", format!("another one than before: {before}")));
    }
    if let Some(why) = &report.deprecated {
        lines.push(("DEPRECATED", why.clone()));
    }
    if let Some(why) = &report.yanked {
        lines.push(("YANKED", why.clone()));
    }
    if let Some(latest) = report
        .latest
        .as_ref()
        .filter(|latest| **latest != package.version)
    {
        lines.push((
            "latest",
            report.passed_over.as_ref().unwrap_or(latest).clone(),
        ));
        if !report.dated {
            let fact =
                "dependencies are resolved as of today; use `--before DATE` for an earlier date";
            lines.push(("note", fact.to_owned()));
        }
    }
    if let Some(age) = report.age_unknown {
        let fact = format!("unknown: the registry does not say whether it is at least {age} old");
        lines.push(("age", fact));
    }
    if let Some(advisories) = &report.advisories {
        let fact = match report.attested {
            Some(true) => "has a signed attestation",
            Some(false) => "no attestation",
            None => "this registry does not tell",
        };
        lines.push(("provenance", fact.to_owned()));
        lines.extend(found(advisories));
    }
    lines.extend(installed(package, report));
    lines.extend(
        changes(&report.changes)
            .into_iter()
            .map(|change| ("changed", change)),
    );
    if let Some(limit) = report.limit {
        lines.push(("note", limit.to_owned()));
    }
    let line = |(name, fact): (&str, String)| format!("  {name:<10} {}\n", printable(&fact));
    lines.into_iter().map(line).collect()
}

/// The changes of all files.
pub(super) fn differences(report: &PinReport) -> String {
    let Some(found) = &report.differences else {
        return "nothing to compare: there is no earlier installation\n".to_owned();
    };
    if found.is_empty() {
        return "no file differs from those that are pinned\n".to_owned();
    }
    let mut out = format!(
        "{} since the last pin\n",
        print::count(found.len(), "changed file")
    );
    for one in found {
        let path = printable(&one.path.display().to_string());
        let (what, lines) = match &one.kind {
            DifferenceKind::Removed => ("removed", ""),
            DifferenceKind::Binary { is_new: true } => ("new, not text", ""),
            DifferenceKind::Binary { is_new: false } => ("changed, not text", ""),
            DifferenceKind::Lines { is_new: true, text } => ("new", text.as_str()),
            DifferenceKind::Lines {
                is_new: false,
                text,
            } => ("changed", text.as_str()),
        };
        for part in ["\n", &path, ": ", what, "\n"] {
            out.push_str(part);
        }
        for line in lines.lines() {
            out.push_str(&printable(&line.replace('\t', "    ")));
            out.push('\n');
        }
    }
    out
}

/// What is known of advisories, and what is not.
fn found(answer: &AdvisoryAnswer) -> Vec<(&'static str, String)> {
    let line = |one: &Advisory| {
        let url = match one.url.as_str() {
            "" => String::new(),
            url => format!(", {url}"),
        };
        let (severity, summary) = (one.severity_name(), one.summary());
        let fact = format!(
            "{severity}: {}@{}: {summary}{url}",
            one.package, one.version
        );
        ("ADVISORY", fact)
    };
    let mut lines: Vec<_> = answer.found.iter().take(NAMES_MAX).map(line).collect();
    let more = answer.found.len().saturating_sub(NAMES_MAX);
    if more > 0 {
        lines.push(("ADVISORY", format!("and {more} more")));
    }
    if answer.found.is_empty() && answer.packages > 0 {
        let packages = print::count(answer.packages, "package");
        lines.push(("advisories", format!("none known for {packages}")));
    }
    let untold = answer.untold.iter();
    lines.extend(untold.map(|why| ("advisories", why.clone())));
    lines
}

/// The facts of what is on the disk.
fn installed(package: &Package, report: &PinReport) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if report.files > 0 {
        let mib = report.bytes.div_ceil(1 << 20);
        let packages = if report.packages > 0 {
            format!("{}, ", print::count(report.packages, "package"))
        } else {
            String::new()
        };
        let shared = match report.shared >> 20 {
            0 => String::new(),
            shared => format!(", {shared} MiB of it shared with other installations"),
        };
        let files = print::count(report.files, "file");
        lines.push(("size", format!("{packages}{files}, {mib} MiB{shared}")));
    }
    if report.not_compared > 0 {
        lines.push((
            "unchecked",
            format!(
                "{}: the archive is not in npm's cache, so the files could not be compared",
                print::count(report.not_compared, "package")
            ),
        ));
    }
    if !report.misfits.is_empty() {
        lines.push(("may fail", short(&report.misfits)));
    }
    if report.native > 0 {
        lines.push(("native", print::count(report.native, "compiled module")));
    }
    if !report.new_scripts.is_empty() {
        let names = short(&report.new_scripts);
        lines.push(("SCRIPTS", format!("new in this version: {names}")));
    }
    match (report.scripts.as_slice(), package.scripts) {
        ([], _) => {}
        (names, true) => lines.push(("scripts", format!("run: {}", short(names)))),
        (names, false) => {
            let hint = "use `--allow-scripts` to run them";
            lines.push(("scripts", format!("not run: {}; {hint}", short(names))));
        }
    }
    lines
}

fn changes(changes: &PackageChanges) -> Vec<String> {
    let PackageChanges {
        added,
        removed,
        changed,
    } = changes;
    let moved: Vec<_> = changed
        .iter()
        .map(|(name, old, new)| format!("{name} {old} → {new}"))
        .collect();
    [
        ("added", added),
        ("removed", removed),
        ("with another version", &moved),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(noun, names)| format!("{} {noun}: {}", names.len(), short(names)))
    .collect()
}

fn short(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMES_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::package::PackageSource;

    #[test]
    fn facts_are_lines_without_control_characters() {
        let package = Package {
            name: "@s/server".to_owned(),
            version: "1.2.4".to_owned(),
            ..Package::bare(PackageSource::Npm)
        };
        let before = Package {
            version: "1.2.3".to_owned(),
            ..package.clone()
        };
        let report = PinReport {
            published: Some("2026-01-02".to_owned()),
            maintainers: vec!["ana".to_owned()],
            latest: Some("2.0.0\u{1b}[2J".to_owned()),
            attested: Some(false),
            publisher: Some("eve".to_owned()),
            publisher_before: Some("ana".to_owned()),
            deprecated: Some("use other".to_owned()),
            scripts: vec!["esbuild".to_owned()],
            new_scripts: vec!["esbuild".to_owned()],
            packages: 2,
            files: 3,
            bytes: 1,
            changes: PackageChanges {
                added: (0..20).map(|n| format!("p{n} 1.0.0")).collect(),
                changed: vec![("q".to_owned(), "1".to_owned(), "2".to_owned())],
                ..PackageChanges::default()
            },
            ..PinReport::default()
        };
        let text = text(&package, &report, Some(&before));
        for line in [
            "package    @s/server 1.2.4 from npm",
            "before     @s/server 1.2.3 from npm",
            "published  2026-01-02 by eve",
            "PUBLISHER  another one than before: ana",
            "DEPRECATED use other",
            "SCRIPTS    new in this version: esbuild",
            "latest     2.0.0\u{fffd}[2J",
            "size       2 packages, 3 files, 1 MiB",
            "scripts    not run: esbuild; use `--allow-scripts` to run them",
            "20 added: p0 1.0.0",
            "and 8 more",
            "1 with another version: q 1 → 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
