//! Runs all rules, sorts out what is ignored, and masks what findings say.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

use super::facts::Facts;
use super::file::ConfigFile;
use super::finding::{Finding, Fix, Location, Severity};
use super::ignores::{self, Ignored, Ignores, OldName};
use super::results::{CheckResults, Noun};
use super::rules::{INVALID_IGNORE, RULES, Rule, UNKNOWN_ENTRY, UNREADABLE_FILE};
use crate::detect;

/// No text of a finding is longer (characters).
const TEXT_CHARS_MAX: usize = 300;

/// The outcome of one rule.
#[derive(Debug)]
pub struct CheckSummary {
    pub rule: &'static Rule,
    /// What was checked, and how many of it; some may be zero.
    pub checked: Vec<(Noun, usize)>,
    pub found: usize,
    pub ignored: usize,
    /// What could not be read, and so was not checked.
    pub unread: usize,
    pub verdict: CheckVerdict,
}

/// The answer of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Everything that there is was checked, and nothing was found.
    Ok,
    /// Something was found, or could not be read.
    Findings,
    /// There is nothing that it applies to, and why.
    Nothing(String),
}

impl CheckSummary {
    fn new(
        rule: &'static Rule,
        results: CheckResults,
        (found, left, unread): (usize, usize, usize),
    ) -> Self {
        let any = results.checked.iter().any(|(_, number)| *number > 0);
        let verdict = match results.nothing {
            Some(why) => CheckVerdict::Nothing(why.to_owned()),
            None if left > 0 || unread > 0 => CheckVerdict::Findings,
            None if any => CheckVerdict::Ok,
            None => {
                let nouns = results.checked.iter().map(|(noun, _)| noun.name());
                CheckVerdict::Nothing(format!("no {}", nouns.collect::<Vec<_>>().join(", ")))
            }
        };
        Self {
            rule,
            found: left,
            ignored: found - left,
            unread: if results.nothing.is_some() { 0 } else { unread },
            checked: results.checked,
            verdict,
        }
    }
}

/// Everything that was found.
#[derive(Debug)]
pub struct CheckReport {
    pub checks: Vec<CheckSummary>,
    /// The worst first.
    pub findings: Vec<Finding>,
    pub ignored: Vec<Ignored>,
    /// Ignores that work but should be changed.
    pub notes: Vec<String>,
    pub files: usize,
    /// The files, as users write them.
    pub paths: Vec<String>,
    /// Server entries in the files.
    pub servers: usize,
    pub policies: usize,
    pub stored: usize,
    /// What was not looked into, as opposed to what could not be read.
    pub not_checked: Vec<String>,
    /// How many findings a plain `mcpwrap adopt` resolves; the caller knows the plan.
    pub adopts: usize,
    /// Whether this machine was checked, as opposed to paths.
    pub machine: bool,
}

impl CheckReport {
    /// Whether any finding is at least that severe.
    pub fn fails(&self, at: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= at)
    }

    /// Whether there was nothing that any rule applies to.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
            && self
                .checks
                .iter()
                .all(|check| matches!(check.verdict, CheckVerdict::Nothing(_)))
    }
}

/// Runs all rules.
pub fn run(facts: &Facts, accepted: &Ignores) -> CheckReport {
    let all: Vec<CheckResults> = RULES
        .iter()
        .map(|rule| {
            let mut results = CheckResults::default();
            (rule.run)(facts, &mut results);
            results
        })
        .collect();
    let mut unreadable: Vec<Finding> = facts.files.iter().filter_map(unreadable_file).collect();
    unreadable.extend(facts.files.iter().flat_map(unknown_entries));
    unreadable.extend(unreadable_policies(facts));
    let (mut shared, ignored) = accepted.apply(facts, unreadable);
    shared.extend(accepted.faults().iter().cloned());
    for file in &facts.files {
        shared.extend(ignores::inline_faults(file));
    }
    let mut report = CheckReport {
        checks: Vec::new(),
        findings: shared,
        ignored,
        notes: notes(facts, accepted),
        files: facts.files.len(),
        paths: facts.files.iter().map(|file| file.shown.clone()).collect(),
        servers: facts.files.iter().map(|file| file.servers.len()).sum(),
        policies: facts
            .machine
            .as_ref()
            .map_or(0, |machine| machine.policies.len()),
        stored: facts.machine.as_ref().map_or(0, |machine| {
            machine
                .index
                .as_ref()
                .map_or(0, |index| index.secrets.len())
        }),
        adopts: 0,
        not_checked: facts.not_checked.clone(),
        machine: facts.machine.is_some(),
    };
    // Any rule could have found something in what was not read.
    let unread = report.findings.iter();
    let unread = unread.filter(|one| one.check != INVALID_IGNORE).count();
    for (rule, mut results) in RULES.iter().zip(all) {
        let found = std::mem::take(&mut results.findings);
        let count = found.len();
        let (left, ignored) = accepted.apply(facts, found);
        let counts = (count, left.len(), unread);
        report.checks.push(CheckSummary::new(rule, results, counts));
        report.findings.extend(left);
        report.ignored.extend(ignored);
    }
    mask_texts(facts, &mut report);
    let order = |finding: &Finding| {
        let rule = RULES.iter().position(|rule| rule.name == finding.check);
        (
            std::cmp::Reverse(finding.severity),
            rule.unwrap_or(RULES.len()),
            finding.check,
            finding.location.clone(),
        )
    };
    report.findings.sort_by_key(order);
    report
}

/// One sentence for each old name that ignores still have, with the first location.
fn notes(facts: &Facts, accepted: &Ignores) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let inline = facts.files.iter().flat_map(ignores::inline_old_names);
    for name in accepted.old_names().iter().cloned().chain(inline) {
        seen.entry(name.old.clone()).or_insert(name);
    }
    let sentence = |name: OldName| {
        let Location { file, line, .. } = name.location;
        format!(
            "the check `{}` is now called `{}` ({file}:{line})",
            name.old, name.new
        )
    };
    seen.into_values().map(sentence).collect()
}

/// Masks secrets in the texts of findings, and shortens them. The texts consist of names, but a name
/// can contain a secret, e.g. the URL of a package.
fn mask_texts(facts: &Facts, report: &mut CheckReport) {
    let mut secrets: Vec<&str> = Vec::new();
    for file in &facts.files {
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
        let (Fix::Run(fix) | Fix::Act(fix)) = &mut finding.fix;
        mask(fix);
        let said = [Some(&mut finding.what), finding.server.as_mut()];
        for text in said.into_iter().flatten() {
            // Masked before it is shortened: half a secret would not be found.
            mask(text);
            shorten(text);
        }
    }
}

fn unreadable_file(file: &ConfigFile) -> Option<Finding> {
    let unread = file.document.as_ref().err()?;
    let severity = if file.certain {
        Severity::High
    } else {
        Severity::Low
    };
    Some(Finding::new(
        (UNREADABLE_FILE, severity),
        Location::line(file.shown.clone(), unread.line.unwrap_or(0)),
        format!("cannot check: {}", unread.why),
        "a client may still read this file, and nothing in it was checked",
        Fix::Act("fix the file and check again".to_owned()),
    ))
}

/// Entries of which it is not known what a client makes of them.
fn unknown_entries(file: &ConfigFile) -> Vec<Finding> {
    let unknown = file.servers.iter().filter_map(|server| {
        let why = server.entry.unknown?;
        let fix = "write it in a form that the client documents, or report the form to mcpwrap";
        let found = Finding::new(
            (UNKNOWN_ENTRY, Severity::High),
            file.location(server.start),
            format!("cannot check all of the entry: {why}"),
            "a client may start something that mcpwrap does not see",
            Fix::Act(fix.to_owned()),
        );
        Some(found.for_server(&server.entry.name))
    });
    unknown.collect()
}

fn unreadable_policies(facts: &Facts) -> Vec<Finding> {
    let Some(machine) = &facts.machine else {
        return Vec::new();
    };
    let fault = |location: &str, error: &crate::error::Error| {
        let fix = error.hints.first().map_or("fix the file", String::as_str);
        let why = error.causes.first().map_or("", |cause| &cause.fact);
        Finding::new(
            (UNREADABLE_FILE, Severity::High),
            Location::whole(location),
            format!("{}: {why}", error.what),
            "it cannot be checked, and a server that needs it does not start",
            Fix::Act(fix.to_owned()),
        )
    };
    let policies = machine.policies.iter().filter_map(|file| {
        let error = file.policy.as_ref().err()?;
        Some(fault(&file.shown, error).for_server(file.server.as_str()))
    });
    let index = machine.index.as_ref().err();
    policies
        .chain(index.map(|error| fault(&machine.index_shown, error)))
        .collect()
}
