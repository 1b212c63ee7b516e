//! `check --online` and `check --advisories`: what became of pinned packages since they were pinned.
//!
//! Invariants: no secret of a policy is read; whatever was not answered is listed as not looked into.

use std::ops::ControlFlow;

use crate::check::{Facts, LoadedPolicy};
use crate::dirs::Dirs;
use crate::error::{Error, Result, printable};
use crate::ops::registries::{self, JobEvent, RegistryJob};
use crate::package::{self, AdvisoryAnswer, AdvisoryFile, PackageNews, Registry};
use crate::policy::{Package, Policy};

/// Adds what is known of the pinned packages to the facts. The lines are what is not.
/// With a file, registries are not asked for advisories.
pub(super) fn ask(
    dirs: &Dirs,
    is_online: bool,
    file: Option<&AdvisoryFile>,
    facts: &mut Facts,
) -> Vec<String> {
    let Some(machine) = &mut facts.machine else {
        return Vec::new();
    };
    let mut unknown = Vec::new();
    let is_asked = is_online || file.is_some();
    let others = machine.policies.iter().filter(|one| !is_pinned(one));
    let others: Vec<_> = others.map(|one| format!("`{}`", one.server)).collect();
    if is_asked && !others.is_empty() {
        let names = others.join(", ");
        unknown.push(format!(
            "packages of servers without a pin from npm or PyPI: {names}"
        ));
    }
    let mut pinned: Vec<_> = machine
        .policies
        .iter_mut()
        .filter_map(AskedPin::new)
        .collect();
    if pinned.is_empty() {
        return unknown;
    }
    if is_online {
        let with_advisories = file.is_none();
        ask_registries(dirs, with_advisories, &mut pinned, &mut unknown);
    } else {
        unknown.push(not_asked(file.is_some()).to_owned());
    }
    if let Some(file) = file {
        for one in &mut pinned {
            let found = package::advisories(dirs, &one.policy, &one.package, file);
            match found {
                Ok(answer) => one.note(answer, &mut unknown),
                Err(error) => unknown.push(format!("advisories for {}", one.because(&error))),
            }
        }
    }
    unknown
}

/// Whether a server has a pin from a registry that can be asked. A local program has no registry.
fn is_pinned(loaded: &LoadedPolicy) -> bool {
    let Ok(policy) = &loaded.policy else {
        return false;
    };
    let is_local = package::parse(&policy.command).registry == Registry::Local;
    is_local || policy.package.as_ref().is_some_and(package::has_versions)
}

const fn not_asked(has_file: bool) -> &'static str {
    if has_file {
        "whether pinned packages were deprecated or withdrawn since: registries were not asked (`--online`)"
    } else {
        "whether pinned packages were deprecated or withdrawn since, or have advisories: registries \
         were not asked (`--online`)"
    }
}

/// A policy with a pin from a registry.
struct AskedPin<'a> {
    policy: Policy,
    package: Package,
    news: &'a mut PackageNews,
}

impl<'a> AskedPin<'a> {
    fn new(loaded: &'a mut LoadedPolicy) -> Option<Self> {
        let policy = loaded.policy.as_ref().ok()?.clone();
        let package = policy.package.clone().filter(package::has_versions)?;
        Some(Self {
            policy,
            package,
            news: &mut loaded.news,
        })
    }

    fn note(&mut self, answer: AdvisoryAnswer, unknown: &mut Vec<String>) {
        let server = &self.policy.server;
        let untold = answer.untold.iter();
        unknown.extend(untold.map(|why| format!("advisories for `{server}`: {}", printable(why))));
        self.news.advisories = Some(answer);
    }

    /// Why nothing is known of it.
    fn because(&self, error: &Error) -> String {
        let cause = error.causes.first();
        let cause = cause.map_or(error.what.as_str(), |cause| &cause.fact);
        format!("`{}`: {}", self.policy.server, printable(cause))
    }
}

/// Asks the registries, several packages at once.
fn ask_registries(
    dirs: &Dirs,
    with_advisories: bool,
    pinned: &mut [AskedPin<'_>],
    unknown: &mut Vec<String>,
) {
    let asked: Vec<_> = pinned
        .iter()
        .map(|one| (one.policy.clone(), one.package.clone()))
        .collect();
    let job = |(policy, package): &(Policy, Package)| {
        let Package {
            registry,
            name,
            version,
            lock,
            ..
        } = package;
        let key = format!("{registry:?} {name} {version} {lock}");
        RegistryJob::new(key, &policy.command)
    };
    let news = |(policy, package): &(Policy, Package)| -> Result<PackageNews> {
        package::news(dirs, policy, package, with_advisories)
    };
    let what = if with_advisories {
        "whether it was deprecated or withdrawn since, or has advisories"
    } else {
        "whether it was deprecated or withdrawn since"
    };
    let mut answers: Vec<_> = asked.iter().map(|_| None).collect();
    registries::for_each(&asked, job, news, &mut |event| {
        if let JobEvent::Done(at, result) = event
            && let Some(answer) = answers.get_mut(at)
        {
            *answer = result;
        }
        ControlFlow::Continue(())
    });
    for (one, answer) in pinned.iter_mut().zip(answers) {
        let server = one.policy.server.clone();
        match answer {
            Some(Ok(news)) => {
                if news.status.is_none() {
                    unknown.push(format!(
                        "`{server}`: whether it was withdrawn since: this registry does not tell"
                    ));
                }
                one.news.status = news.status;
                if let Some(advisories) = news.advisories {
                    one.note(advisories, unknown);
                }
            }
            Some(Err(error)) => unknown.push(format!("{}: {what}", one.because(&error))),
            None => unknown.push(format!("`{server}`: its registry did not answer: {what}")),
        }
    }
}
