//! Permissions that a server does not need.

use super::excess_scopes::{self, MORE};
use super::facts::{Facts, Machine};
use super::file::{CheckedServer, ConfigFile, ConfigValue, FieldKind, label};
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use super::foreign_command;
use super::results::{CheckResults, Noun};
use crate::catalog::{self, KnownServer};
use crate::detect::names::{Promise, promise};
use crate::package;
use crate::policy::template;

pub(super) const NAME: &str = "excess-permission";

pub(super) const ABOUT: &str = "\
**Detects** permissions that a server does not need:

- a secret of another service than the one its package talks to, or any secret for a package that
  needs none (the packages are those of `policies/` in the source);
- secrets in arguments;
- whole environments passed through (`docker --env-file`, a login shell, secret variables in a
  policy's `env.pass`);
- containers with privileges on the host (`--privileged`, the docker socket, `/` as a volume, the
  host's network or processes) and `deno -A`;
- a file server for `/` or a whole home directory;
- a policy that turns off the fence (`fence = false`);
- far-reaching scopes of an OAuth token, as the login obtained them, and far-reaching permissions of a
  `[mint.NAME]` with a GitHub App, that the server does not need;
- with `--verify`, token scopes that the server does not need, and stored keys with full access (GitHub's
  `ghp_`, Stripe's `sk_live_`) where a narrower kind of key exists.

**Why:** a server can leak what it holds: through a bad release, a prompt injection, or its own
error messages. All local users can see arguments with `ps`.

**Remediation:** `mcpwrap adopt` gives each server its own secrets in an otherwise empty
environment. Remove what is not needed with `mcpwrap policy edit SERVER`. Create narrower tokens at
the provider.

`policies/` says which scopes and permissions a server needs, which ones are far-reaching, and what these
allow. Values and scopes are counted as checked only where that is known.

**Limitations:** servers without a policy in `policies/` are not known; many services do not report
the scopes of a token (most fine-grained ones), and the scopes of a login are judged only by what is
known as far-reaching. What a server does with files and network is not
limited by mcpwrap, and not checked.
";

const SEEN: &str = "all local users can see arguments with `ps`, and crash reports include them";
const UNFENCED: &str =
    "the server can signal and trace your other processes, and read their memory";

/// Options that give a container access to the host, and which.
const HOST_ACCESS: &[(&str, &str)] = &[
    ("--privileged", "root privileges on the host"),
    ("--pid=host", "access to the host's processes"),
    ("--network=host", "access to the host network"),
    ("--net=host", "access to the host network"),
    ("--cap-add=ALL", "root privileges on the host"),
    ("--cap-add=SYS_ADMIN", "most root privileges on the host"),
];

/// The catalog entry of the servers that need no secret.
const REFERENCE: &str = "reference";

/// File servers, whose arguments are the directories that they may use.
const FILE_SERVERS: &[&str] = &["@modelcontextprotocol/server-filesystem", "mcp/filesystem"];

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    results.count(Noun::Entry, 0);
    for file in &facts.files {
        results.count(Noun::Entry, file.servers.len());
        for server in &file.servers {
            host_access(file, server, results);
            passed_through(facts, file, server, results);
        }
        for value in &file.values {
            secrets(facts, file, value, results);
        }
    }
    foreign_command::run(NAME, facts, results);
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
    excess_scopes::run(NAME, facts, results);
}

/// A secret in an argument, or with a server that does not need it.
fn secrets(facts: &Facts, file: &ConfigFile, value: &ConfigValue, results: &mut CheckResults) {
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
            let act = "pass it in `env` instead, as a reference, then rotate it";
            let fix = fixes::values(facts, file, act);
            results.add(
                Finding::new(rule, location.clone(), what, SEEN, fix)
                    .for_server(name)
                    .with_value(secret),
            );
        }
        let slot = if part.name.is_empty() {
            &value.name
        } else {
            &part.name
        };
        if let Some(what) = server.shipped.and_then(|own| foreign(own, slot, secret)) {
            let what = format!("{} {what}", label(value, &part.name));
            let fix = Fix::Act("remove it from the entry, then rotate it".to_owned());
            results.add(
                Finding::new(rule, location, what, MORE, fix)
                    .for_server(name)
                    .with_value(secret),
            );
        }
    }
}

/// Why a secret certainly is not for this package.
fn foreign(own: &KnownServer, slot: &str, secret: &str) -> Option<String> {
    let title = &own.title;
    if own.id == REFERENCE {
        return Some("is a secret, but the package needs none".to_owned());
    }
    let known = |shipped: &KnownServer| {
        shipped.secrets.contains_key(slot)
            || shipped.secret_for_flag(slot).is_some()
            || shipped.secrets.values().any(|one| {
                let looks = |look: &String| look.len() >= 3 && secret.starts_with(look.as_str());
                one.looks.iter().any(looks)
            })
    };
    if known(own) || own.secrets.is_empty() {
        return None;
    }
    // The variable names the issuer; a token format can be that of several services.
    let other =
        catalog::all().find(|other| other.id != own.id && other.secrets.contains_key(slot))?;
    Some(format!(
        "is a secret for {}, but the server is for {title}",
        other.title
    ))
}

/// Containers and runtimes with access to the host, and file servers for everything.
fn host_access(file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    let words = &server.entry.words;
    let mut add = |at: usize, what: String| {
        let fix = Fix::Act("remove it, or narrow it to what the server needs".to_owned());
        let rule = (NAME, Severity::Critical);
        results.add(
            Finding::new(rule, file.location(at), what, MORE, fix).for_server(&server.entry.name),
        );
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
        let power = HOST_ACCESS
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
            let what = if volume.starts_with("/:") {
                "a volume mounts the host root"
            } else {
                "a volume mounts the docker socket, which controls the host"
            };
            add(word.span.start, what.to_owned());
        }
        if deno && matches!(text, "-A" | "--allow-all") {
            add(word.span.start, format!("`{text}` grants all permissions"));
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
                    format!("the server can read and change all of `{}`", word.text),
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

/// Whole environments that are passed through.
fn passed_through(
    facts: &Facts,
    file: &ConfigFile,
    server: &CheckedServer,
    results: &mut CheckResults,
) {
    let entry = &server.entry;
    let words = &entry.words;
    let mut add = |at: usize, what: String| {
        let rule = (NAME, Severity::Critical);
        let act = "name only the variables that the server needs";
        let fix = fixes::server(facts, file, server, act);
        results.add(Finding::new(rule, file.location(at), what, MORE, fix).for_server(&entry.name));
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
            "a login shell gives the server all variables of your shell profile".to_owned(),
        );
    }
    for word in words
        .iter()
        .filter(|word| word.text.starts_with("--env-file"))
    {
        add(
            word.span.start,
            "the server gets all variables of an env file".to_owned(),
        );
    }
}

fn is_secret_name(name: &str) -> bool {
    matches!(promise(name), Promise::Token | Promise::Password)
}

fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        results.count(Noun::Policy, 1);
        let server = file.server.as_str();
        let edit = || Fix::Run(format!("mcpwrap policy edit {server}"));
        let own = catalog::of_policy(policy);
        for (variable, slot) in &policy.secrets {
            let Some(what) = own.and_then(|own| foreign(own, variable, "")) else {
                continue;
            };
            let location = Location::line(file.shown.clone(), slot.line);
            let what = format!("`{variable}` {what}");
            results.add(
                Finding::new((NAME, Severity::Critical), location, what, MORE, edit())
                    .for_server(server),
            );
        }
        let location = Location::line(file.shown.clone(), policy.command_line);
        let in_command = policy
            .command
            .iter()
            .any(|word| template::secrets(word).count() > 0);
        if policy.argv_secrets && in_command {
            // The user granted this policy, so it is not critical.
            let what = "the policy puts a secret into an argument, where `ps` shows it";
            let finding = Finding::new(
                (NAME, Severity::Medium),
                location.clone(),
                what,
                SEEN,
                edit(),
            );
            results.add(finding.for_server(server));
        }
        if !policy.fence {
            // The user granted this policy, so it is not critical.
            let finding = Finding::new(
                (NAME, Severity::Medium),
                location.clone(),
                "the policy turns off the fence",
                UNFENCED,
                edit(),
            );
            results.add(finding.for_server(server));
        }
        for name in policy.env.pass.iter().filter(|name| is_secret_name(name)) {
            let what = format!("the policy inherits `{name}` from the client's environment");
            let finding = Finding::new(
                (NAME, Severity::Critical),
                location.clone(),
                what,
                MORE,
                edit(),
            );
            results.add(finding.for_server(server));
        }
    }
}
