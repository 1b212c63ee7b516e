//! Check 2: permissions that are broader than the server needs.

use super::facts::{Facts, Machine, ProbeResult};
use super::file::{CheckedServer, ConfigFile, ConfigValue, FieldKind, label};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::CheckResults;
use crate::detect::names::{Promise, promise};
use crate::package;
use crate::policy::template;
use crate::shipped::{self, Shipped};

pub(super) const NAME: &str = "excess-permission";

pub(super) const ABOUT: &str = "\
**Looks for** a secret that another service issued than the one the server's package talks to (as `policies/` in the
source knows them), or any secret for a package that needs none; secrets among the arguments; a whole environment
handed on (`docker --env-file`, a login shell, names of secrets in a policy's `env.pass`); containers with
the machine's own powers (`--privileged`, the docker socket, `/` as a volume, the host's network or processes), `deno -A`, and a
file server for `/` or the whole home. With `--verify` also scopes of a token that the server does not ask for.

**Why:** what a server holds, it can lose: to a bad release, to a prompt in a web page, to its own error messages. Every
user of the machine sees arguments with `ps`.

**Remediation:** `mcpwrap adopt` gives each server only its own secrets and an empty environment otherwise; `mcpwrap policy
edit SERVER` takes out what is not needed; make narrow tokens at the provider.

**Known misses:** servers that no shipped policy knows; scopes of services that do not tell them (most fine-grained
tokens); what a server can do with files and network, which no policy of mcpwrap limits.
";

const SEEN: &str =
    "every user of the machine sees arguments with `ps`, and crash reports keep them";
const MORE: &str = "what a server holds it can lose, so it should hold only what it needs";

/// Words of a container's command line that give it the machine, and what each gives.
const POWERS: &[(&str, &str)] = &[
    ("--privileged", "all powers of the machine's administrator"),
    ("--pid=host", "the machine's processes"),
    ("--network=host", "the machine's network"),
    ("--net=host", "the machine's network"),
    ("--cap-add=ALL", "all powers of the machine's administrator"),
    (
        "--cap-add=SYS_ADMIN",
        "most powers of the machine's administrator",
    ),
];

/// The shipped policy of the servers that need no secret at all.
const REFERENCE: &str = "reference";

/// Servers of files, whose arguments are the directories that they may touch.
const FILE_SERVERS: &[&str] = &["@modelcontextprotocol/server-filesystem", "mcp/filesystem"];

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    for file in &facts.files {
        results.count(file.servers.len());
        for server in &file.servers {
            powers(file, server, results);
            handed_on(file, server, results);
        }
        for value in &file.values {
            secrets(file, value, results);
        }
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
    for record in &facts.probes {
        let ProbeResult::Good { wide, .. } = &record.said else {
            continue;
        };
        if !wide.is_empty() {
            results.add(
                Finding::new(
                    (NAME, Severity::Critical),
                    record.location.clone(),
                    format!(
                        "{} says that `{}` may also do what the server does not ask for: {}",
                        record.host,
                        record.secret,
                        wide.join(", ")
                    ),
                    MORE,
                    Fix::Act(if record.stored {
                        let rotate = format!("`mcpwrap secret rotate {}`", record.secret);
                        format!("make a narrower one at the provider, then {rotate}")
                    } else {
                        "make a narrower one at the provider, and withdraw this one".to_owned()
                    }),
                )
                .of(&record.server),
            );
        }
    }
}

/// A secret where it does not belong: in an argument, or with a server that does not need it.
fn secrets(file: &ConfigFile, value: &ConfigValue, results: &mut CheckResults) {
    let Some(server) = file.server_of(value) else {
        return;
    };
    for part in value.verdict.secrets() {
        let secret = value.text.get(part.range.clone()).unwrap_or_default();
        let location = file.location_of(value, &part.range);
        let name = &server.entry.name;
        let rule = (NAME, Severity::Critical);
        if value.kind == FieldKind::Argument {
            let what = format!(
                "a secret is in {}, where `ps` shows it",
                label(value, &part.name)
            );
            let fix = Fix::Run(file.adopt());
            results.add(
                Finding::new(rule, location.clone(), what, SEEN, fix)
                    .of(name)
                    .shows(secret),
            );
        }
        let slot = if part.name.is_empty() {
            &value.name
        } else {
            &part.name
        };
        if let Some(what) = server.shipped.and_then(|own| foreign(own, slot, secret)) {
            let what = format!("{}: {what}", label(value, &part.name));
            let fix = Fix::Act("take it out of the entry, and rotate it".to_owned());
            results.add(
                Finding::new(rule, location, what, MORE, fix)
                    .of(name)
                    .shows(secret),
            );
        }
    }
}

/// Why a secret is not this package's, if that is sure.
fn foreign(own: &Shipped, slot: &str, secret: &str) -> Option<String> {
    let title = &own.title;
    if own.id == REFERENCE {
        return Some("the package needs no secret".to_owned());
    }
    let known = |shipped: &Shipped| {
        shipped.secrets.contains_key(slot)
            || shipped.by_flag(slot).is_some()
            || shipped.secrets.values().any(|one| {
                let looks = |look: &String| look.len() >= 3 && secret.starts_with(look.as_str());
                one.looks.iter().any(looks)
            })
    };
    if known(own) || own.secrets.is_empty() {
        return None;
    }
    // The variable says who issued it; a shape alone may be shared by several services.
    let other =
        shipped::all().find(|other| other.id != own.id && other.secrets.contains_key(slot))?;
    Some(format!(
        "it is a secret for {}, and {title} does not need it",
        other.title
    ))
}

/// Containers and runtimes with the machine's own powers, and file servers for everything.
fn powers(file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    let words = &server.entry.words;
    let mut add = |at: usize, what: String| {
        let fix = Fix::Act("take it out, or name only what the server needs".to_owned());
        let rule = (NAME, Severity::Critical);
        results.add(Finding::new(rule, file.location(at), what, MORE, fix).of(&server.entry.name));
    };
    let Some(launch) = &server.launch else {
        return;
    };
    let containers = launch.registry == package::Registry::Image;
    let deno = launch.launcher.starts_with("deno");
    for (n, word) in words.iter().enumerate() {
        let text = word.text.as_str();
        let next = words.get(n + 1).map_or("", |next| next.text.as_str());
        let joined = format!("{text}={next}");
        let power = POWERS
            .iter()
            .find(|(flag, _)| text == *flag || joined == *flag)
            .filter(|_| containers);
        if let Some((flag, gives)) = power {
            add(
                word.span.start,
                format!("`{flag}` gives the container {gives}"),
            );
        }
        let volume = match text {
            "-v" | "--volume" => next,
            _ => text.strip_prefix("--volume=").unwrap_or_default(),
        };
        if containers && (volume.starts_with("/:") || volume.contains("docker.sock")) {
            let what = "the container gets the whole machine through a volume".to_owned();
            add(word.span.start, what);
        }
        if deno && matches!(text, "-A" | "--allow-all") {
            add(
                word.span.start,
                format!("`{text}` lets the program do everything"),
            );
        }
    }
    let package = launch.package.as_deref().unwrap_or_default();
    if FILE_SERVERS.contains(&package) {
        for word in words.iter().skip(1) {
            let text = word.text.trim_end_matches('/');
            let everything = word.text == "/"
                || matches!(
                    text,
                    "~" | "$HOME" | "${HOME}" | "/home" | "/Users" | "/root"
                )
                || is_home(text);
            if everything {
                add(
                    word.span.start,
                    format!("the server may read and change all of `{}`", word.text),
                );
            }
        }
    }
}

/// `/home/NAME` or `/Users/NAME`.
fn is_home(path: &str) -> bool {
    let rest = path
        .strip_prefix("/home/")
        .or_else(|| path.strip_prefix("/Users/"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// A whole environment, or secrets of the client's own, handed on.
fn handed_on(file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    let entry = &server.entry;
    let words = &entry.words;
    let mut add = |at: usize, what: String| {
        let rule = (NAME, Severity::Critical);
        let fix = Fix::Run(file.adopt_server(&entry.name));
        results.add(Finding::new(rule, file.location(at), what, MORE, fix).of(&entry.name));
    };
    let first = words
        .first()
        .map_or("", |word| word.text.rsplit('/').next().unwrap_or(""));
    if matches!(first, "bash" | "zsh" | "sh" | "fish")
        && let Some(word) = words.get(1)
        && word.text.starts_with('-')
        && (word.text == "--login" || !word.text.starts_with("--") && word.text.contains('l'))
    {
        add(
            word.span.start,
            "a login shell gives the server everything that your profile sets".to_owned(),
        );
    }
    for word in words
        .iter()
        .filter(|word| word.text.starts_with("--env-file"))
    {
        add(
            word.span.start,
            "the server gets every variable of a file".to_owned(),
        );
    }
}

fn is_secret_name(name: &str) -> bool {
    matches!(promise(name), Promise::Token | Promise::Password)
}

fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        results.count(1);
        let server = file.server.as_str();
        let edit = || Fix::Run(format!("mcpwrap policy edit {server}"));
        let launch = package::parse(&policy.command);
        let own = launch.package.as_deref().and_then(shipped::of_package);
        for (variable, slot) in &policy.secrets {
            let Some(what) = own.and_then(|own| foreign(own, variable, "")) else {
                continue;
            };
            let location = Location::line(file.shown.clone(), slot.line);
            let what = format!("`{variable}`: {what}");
            results.add(
                Finding::new((NAME, Severity::Critical), location, what, MORE, edit()).of(server),
            );
        }
        let location = Location::line(file.shown.clone(), policy.command_line);
        let in_command = policy
            .command
            .iter()
            .any(|word| template::secrets(word).count() > 0);
        if policy.argv_secrets && in_command {
            // The user said so in the policy and granted it: worth a look, no alarm.
            let what = "its policy puts a secret among the arguments, where `ps` shows it";
            let finding = Finding::new(
                (NAME, Severity::Medium),
                location.clone(),
                what,
                SEEN,
                edit(),
            );
            results.add(finding.of(server));
        }
        for name in policy.env.pass.iter().filter(|name| is_secret_name(name)) {
            let what = format!("its policy hands on `{name}` from the client's environment");
            let finding = Finding::new(
                (NAME, Severity::Critical),
                location.clone(),
                what,
                MORE,
                edit(),
            );
            results.add(finding.of(server));
        }
    }
}
