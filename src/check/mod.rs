//! The ten checks: what the field asks of a machine with MCP servers, each answered with evidence.
//!
//! One file a check, with its own page of documentation in it (`docs/checks.md` is made from them),
//! one line in [`CHECKS`]. *Always* pure: the scene was gathered before, and nothing is changed.
//! *Never* silent about what could not be read: that is a finding, too.

mod file;
mod finding;
mod ignores;
mod json;
#[cfg(test)]
mod laws_tests;
mod mcp01;
mod mcp02;
mod mcp03;
mod mcp04;
pub mod mcp05;
mod mcp06;
mod mcp07;
mod mcp08;
pub mod mcp09;
mod mcp10;
mod sarif;
mod scene;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::detect;

pub use file::{ConfigFile, Kind, Server, Value, host};
pub use finding::{Finding, Mend, Place, Severity, masked, quoted};
pub use ignores::{Ignored, Ignores, LIST};
pub use json::json;
pub use sarif::sarif;
pub use scene::{
    Answer, AuditLog, AuditState, LastDrill, Leftover, Machine, PolicyFile, Said, Scene, Supervisor,
};

/// Nothing that is said is longer (characters).
const TEXT_CHARS_MAX: usize = 300;

/// One of the ten.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Stable: `mcp01`.
    pub id: &'static str,
    pub severity: Severity,
    /// What is as it should be if nothing is found.
    pub title: &'static str,
    /// What it counts: servers, values, records.
    pub noun: &'static str,
    /// Its page of documentation.
    pub about: &'static str,
    run: fn(&Scene, &mut Sheet),
}

macro_rules! checks {
    ($($module:ident $severity:ident $title:literal $noun:literal)+) => {
        /// All of them, in the order of the checklist.
        pub const CHECKS: &[Check] = &[$(Check {
            id: stringify!($module), severity: Severity::$severity, title: $title, noun: $noun,
            about: $module::ABOUT, run: $module::run,
        }),+];
    };
}

checks! {
    mcp01 Critical "no secret in a config file" "values"
    mcp02 Critical "each server has minimal permission" "servers"
    mcp03 High "audit log is there and whole" "servers"
    mcp04 High "secrets live in one place and are rotated" "secrets"
    mcp05 Critical "transport is encrypted" "servers"
    mcp06 High "environments share no secret" "secrets"
    mcp07 High "output and logs show no secret" "servers"
    mcp08 Medium "secrets are there and not expired" "secrets"
    mcp09 High "servers are pinned" "servers"
    mcp10 High "the kill switch works" "servers"
}

/// What is reported besides the ten: the id, its severity, what it means.
pub const OTHER_RULES: &[(&str, Severity, &str)] = &[
    (
        "unread",
        Severity::High,
        "a file could not be read, so nothing is known of it",
    ),
    (
        "ignore",
        Severity::Medium,
        "an ignore without a reason, or one that cannot be understood, ignores nothing",
    ),
];

/// What one check found.
#[derive(Debug, Default)]
pub struct Sheet {
    looked: usize,
    skipped: Option<&'static str>,
    findings: Vec<Finding>,
}

impl Sheet {
    /// Counts what was looked at.
    fn looked(&mut self, count: usize) {
        self.looked += count;
    }

    /// Says why nothing was looked at.
    fn skip(&mut self, why: &'static str) {
        self.skipped = Some(why);
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// One check's line in the report.
#[derive(Debug)]
pub struct Line {
    pub check: &'static Check,
    /// How many of its things were looked at.
    pub looked: usize,
    pub found: usize,
    pub ignored: usize,
    /// Why it was not done.
    pub skipped: Option<&'static str>,
}

/// All that was found.
#[derive(Debug)]
pub struct Report {
    pub lines: Vec<Line>,
    /// The worst first.
    pub findings: Vec<Finding>,
    pub ignored: Vec<Ignored>,
    pub files: usize,
    /// The files, as users write them.
    pub paths: Vec<String>,
    pub servers: usize,
    /// Whether this machine was looked at, or a directory.
    pub machine: bool,
}

impl Report {
    /// Whether anything found is at least that bad.
    pub fn fails(&self, at: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= at)
    }
}

/// Does all checks.
pub fn run(scene: &Scene, accepted: &Ignores) -> Report {
    let sheets: Vec<Sheet> = CHECKS
        .iter()
        .map(|check| {
            let mut sheet = Sheet::default();
            (check.run)(scene, &mut sheet);
            sheet
        })
        .collect();
    let mut unreadable: Vec<Finding> = scene.files.iter().filter_map(unread).collect();
    unreadable.extend(policies_unread(scene));
    let (mut shared, ignored) = accepted.apply(scene, unreadable);
    shared.extend(accepted.faults().iter().cloned());
    for file in &scene.files {
        shared.extend(ignores::inline_faults(file));
    }
    let mut report = Report {
        lines: Vec::new(),
        findings: shared,
        ignored,
        files: scene.files.len(),
        paths: scene.files.iter().map(|file| file.shown.clone()).collect(),
        servers: scene.files.iter().map(|file| file.servers.len()).sum(),
        machine: scene.machine.is_some(),
    };
    for (check, sheet) in CHECKS.iter().zip(sheets) {
        let all = sheet.findings.len();
        let (left, ignored) = accepted.apply(scene, sheet.findings);
        report.lines.push(Line {
            check,
            looked: sheet.looked,
            found: left.len(),
            ignored: all - left.len(),
            skipped: sheet.skipped,
        });
        report.findings.extend(left);
        report.ignored.extend(ignored);
    }
    tidy(scene, &mut report);
    let order = |finding: &Finding| {
        (
            std::cmp::Reverse(finding.severity),
            finding.check,
            finding.place.clone(),
        )
    };
    report.findings.sort_by_key(order);
    report
}

/// What a finding says is made of names. Where a name holds a secret nevertheless (the address of a
/// package, say), it is masked; and it is made short.
fn tidy(scene: &Scene, report: &mut Report) {
    let mut secrets: Vec<&str> = Vec::new();
    for file in &scene.files {
        secrets.extend(detect::known_tokens(&file.text));
        for value in &file.values {
            let parts = value.verdict.secrets().iter();
            secrets.extend(parts.filter_map(|part| value.text.get(part.range.clone())));
        }
    }
    secrets.retain(|secret| secret.len() >= 6);
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(&secrets)
        .ok();
    let masks = vec!["[secret]"; secrets.len()];
    let mask = |text: &mut String| {
        if let Some(finder) = finder
            .as_ref()
            .filter(|finder| finder.is_match(text.as_str()))
        {
            *text = finder.replace_all(text, &masks);
        }
    };
    let shorten = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
            text.push('…');
        }
    };
    for ignored in &mut report.ignored {
        mask(&mut ignored.reason);
    }
    let ignored = report.ignored.iter_mut().map(|one| &mut one.finding);
    for finding in report.findings.iter_mut().chain(ignored) {
        let (Mend::Run(mend) | Mend::Act(mend)) = &mut finding.mend;
        mask(mend);
        let said = [Some(&mut finding.what), finding.server.as_mut()];
        for text in said.into_iter().flatten() {
            // Masked first: half a secret would not be found.
            mask(text);
            shorten(text);
        }
    }
}

fn unread(file: &ConfigFile) -> Option<Finding> {
    let unread = file.document.as_ref().err()?;
    let severity = if file.certain {
        Severity::High
    } else {
        Severity::Low
    };
    Some(Finding::new(
        ("unread", severity),
        Place::line(file.shown.clone(), unread.line.unwrap_or(0)),
        format!("not looked into: {}", unread.why),
        "what cannot be read cannot be checked, and a client may read it differently",
        Mend::Act("mend the file, then check again".to_owned()),
    ))
}

fn policies_unread(scene: &Scene) -> Vec<Finding> {
    let Some(machine) = &scene.machine else {
        return Vec::new();
    };
    let fault = |place: &str, error: &crate::error::Error| {
        let mend = error.hints.first().map_or("mend the file", String::as_str);
        let why = error.causes.first().map_or("", |cause| &cause.fact);
        Finding::new(
            ("unread", Severity::High),
            Place::whole(place),
            format!("{}: {why}", error.what),
            "what cannot be read cannot be checked, and a server with it does not start",
            Mend::Act(mend.to_owned()),
        )
    };
    let policies = machine.policies.iter().filter_map(|file| {
        let error = file.policy.as_ref().err()?;
        Some(fault(&file.shown, error).of(file.server.as_str()))
    });
    let index = machine.index.as_ref().err();
    policies
        .chain(index.map(|error| fault(&machine.index_shown, error)))
        .collect()
}
