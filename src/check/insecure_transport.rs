//! Unencrypted URLs, and disabled TLS checks.

use super::facts::{Facts, Machine};
use super::file::{CheckedServer, ConfigFile, ConfigValue, FieldKind, host};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::{CheckResults, Noun};
use crate::package::{self, Transport, transport};
use crate::policy::inherit;

pub(super) const NAME: &str = "insecure-transport";

pub(super) const ABOUT: &str = "\
**Detects** `http://` and `ws://` to remote hosts: the URL of a server, the URL behind a bridge such
as `mcp-remote`, URLs in arguments and variables. Also switches that disable certificate checks:
`NODE_TLS_REJECT_UNAUTHORIZED=0`, `--insecure`, `…_SSL_VERIFY=false`, `…SKIP_TLS_VERIFY=true`,
`sslmode=disable` and similar ones. Client configs and policies are checked. In a repository, also proxies and
certificate authorities that an entry sets for `mcpwrap run`.

**Why:** anyone on the network path (public Wi-Fi, a company proxy, the next host in a container
network) can read the token and answer as the server. Without certificate checks, `https://` is no
better.

**Remediation:** use `https://` or `wss://`. For certificates of a private authority, name it with
`NODE_EXTRA_CA_CERTS` or `SSL_CERT_FILE` and keep the checks on.

**Limitations:** not checked are URLs assembled from references, connections that a server opens by
itself, and weak ciphers. Only `localhost`, loopback addresses and `host.docker.internal` count as
local: a name such as `http://ollama:11434` is a remote host.
";

const WHY: &str = "anyone on the network path can read the credential and impersonate the server";
const RULE: (&str, Severity) = (NAME, Severity::Critical);

/// Arguments that disable certificate checks.
const ARGUMENTS: &[&str] = &[
    "--insecure",
    "--allow-http",
    "--allow-insecure",
    "--insecure-skip-tls-verify",
    "--insecure-skip-verify",
    "--tls-skip-verify",
    "--skip-tls-verify",
    "--skip-ssl-verify",
    "--no-verify-ssl",
    "--no-ssl-verify",
    "--no-tls-verify",
    "--no-check-certificate",
    "--no-strict-ssl",
    "--strict-ssl=false",
    "--verify-ssl=false",
    "--ssl-verify=false",
    "--disable-ssl-verification",
    "--ignore-certificate-errors",
    "--ignore-https-errors",
];

/// Endings of variables that disable checks by a "yes".
const BY_YES: &[&str] = &[
    "SKIP_TLS_VERIFY",
    "SKIP_SSL_VERIFY",
    "TLS_SKIP_VERIFY",
    "SSL_SKIP_VERIFY",
    "SKIP_TLS_VERIFICATION",
    "SSL_NO_VERIFY",
    "TLS_INSECURE",
    "ALLOW_INSECURE",
    "INSECURE_SKIP_VERIFY",
    "INSECURE_TLS",
    "IGNORE_SSL_ERRORS",
    "IGNORE_HTTPS_ERRORS",
    "DISABLE_SSL_VERIFICATION",
    "DISABLE_TLS_VERIFICATION",
];

/// Endings of variables that disable checks by a "no".
const BY_NO: &[&str] = &[
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "REJECT_UNAUTHORIZED",
    "PYTHONHTTPSVERIFY",
    "SSL_VERIFY",
    "TLS_VERIFY",
    "VERIFY_SSL",
    "VERIFY_TLS",
    "VERIFY_CERTS",
    "STRICT_SSL",
    "SSL_VERIFICATION",
];

/// Parameters of a connection string that disable checks.
const PARAMETERS: &[&str] = &[
    "sslmode=disable",
    "sslmode=allow",
    "tlsinsecure=true",
    "tlsallowinvalidcertificates=true",
    "trustservercertificate=true",
    "rejectunauthorized=false",
    "ssl=false",
    "tls=false",
    "usessl=false",
];

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    results.count(Noun::Entry, 0);
    for file in &facts.files {
        results.count(Noun::Entry, file.servers.len());
        for server in &file.servers {
            for (name, value) in set_by_command(server) {
                if variable_disables_tls(name, value) {
                    let location = file.location(server.start);
                    results.add(
                        disabled(&format!("`{name}={value}`"), location, edit())
                            .for_server(&server.entry.name),
                    );
                }
            }
        }
        for server in &file.servers {
            steered(facts, file, server, results);
        }
        for value in &file.values {
            check_value(file, value, results);
        }
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
}

/// Proxies and certificate authorities that a repository sets for mcpwrap.
fn steered(facts: &Facts, file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    if server.entry.wrapped.is_none() || facts.machine.is_some() {
        return;
    }
    let set = server.entry.env.iter();
    for variable in set.filter(|variable| inherit::is_network(&variable.name)) {
        let name = &variable.name;
        let what = format!("`{name}` is set for mcpwrap by a file of the repository");
        let act = "remove it from the entry; whoever needs it runs `mcpwrap config network`";
        let location = file.location(variable.span.start);
        let why = "it chooses whom servers connect to and which certificates they trust";
        let found = Finding::new(
            (NAME, Severity::High),
            location,
            what,
            why,
            Fix::Act(act.to_owned()),
        );
        results.add(found.for_server(&server.entry.name));
    }
}

/// The transport of a server, as the labels of the corpus call it.
pub fn transport_of(server: &CheckedServer) -> Transport {
    server.url().map_or(Transport::Stdio, transport)
}

fn edit() -> Fix {
    Fix::Act("use `https://` or `wss://`, and keep TLS checks on".to_owned())
}

/// Variables set by the command itself: `env X=Y npx …`.
fn set_by_command(server: &CheckedServer) -> impl Iterator<Item = (&str, &str)> {
    let env = server.launch.iter().flat_map(|launch| &launch.env);
    env.map(|(name, value)| (name.as_str(), value.as_str()))
}

fn check_value(file: &ConfigFile, value: &ConfigValue, results: &mut CheckResults) {
    let name = file
        .server_of(value)
        .map_or("", |server| server.entry.name.as_str());
    let mut add = |finding: Finding| {
        results.add(if name.is_empty() {
            finding
        } else {
            finding.for_server(name)
        });
    };
    let is_proxy = value.name.to_ascii_lowercase().ends_with("_proxy");
    if !is_proxy {
        for (at, address) in unencrypted_urls(&value.text) {
            let location = file.location_of(value, &(at..at + address.len()));
            add(unencrypted(address, location, edit()));
        }
    }
    match value.kind {
        FieldKind::Env | FieldKind::Setting if variable_disables_tls(&value.name, &value.text) => {
            let shown = format!("`{}={}`", value.name, value.text);
            add(disabled(&shown, file.location(value.span.start), edit()));
        }
        FieldKind::Argument if argument_disables_tls(&value.text) => {
            add(disabled(
                &format!("`{}`", value.text),
                file.location(value.span.start),
                edit(),
            ));
        }
        _ => {}
    }
    if let Some(parameter) = disabling_parameter(&value.text) {
        add(disabled(
            &format!("`{parameter}`"),
            file.location(value.span.start),
            edit(),
        ));
    }
}

fn unencrypted(address: &str, location: Location, fix: Fix) -> Finding {
    let scheme = address.split("://").next().unwrap_or_default();
    let host = host(address).unwrap_or_default();
    let what = format!("`{scheme}://{host}` is remote and unencrypted");
    Finding::new(RULE, location, what, WHY, fix)
}

fn disabled(switch: &str, location: Location, fix: Fix) -> Finding {
    let what = format!("{switch} disables TLS or its checks");
    Finding::new(RULE, location, what, WHY, fix)
}

/// Unencrypted remote URLs in a text, each with its position.
fn unencrypted_urls(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for scheme in ["http://", "ws://"] {
        for (at, _) in text.match_indices(scheme) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            if before.is_some_and(char::is_alphanumeric) {
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find(|c: char| c.is_whitespace() || "\"'`,;)]}|\\".contains(c));
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
            let host = host(address).unwrap_or_default();
            let unknown = host.is_empty() || host.contains(['$', '{', '<', '%', '*']);
            let local = host == "host.docker.internal" || host == "www.w3.org";
            if !unknown && !local && transport(address) == Transport::Plain {
                found.push((at, address));
            }
        }
    }
    found
}

fn argument_disables_tls(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ARGUMENTS.contains(&word.strip_suffix("=true").unwrap_or(&word))
}

fn variable_disables_tls(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let value = value.trim().to_ascii_lowercase();
    let yes = matches!(value.as_str(), "1" | "true" | "yes" | "on");
    let no = matches!(value.as_str(), "0" | "false" | "no" | "off");
    if BY_YES.iter().any(|end| name.ends_with(end)) {
        return yes;
    }
    no && BY_NO.iter().any(|end| name.ends_with(end))
}

/// A parameter that disables checks, in the URL of a remote host.
fn disabling_parameter(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let remote = text.contains("://") && transport(text) == Transport::Plain;
    let fits = |parameter: &&&str| {
        lower
            .split(['?', '&', ';', ' '])
            .any(|part| part == **parameter)
    };
    let found = PARAMETERS.iter().find(|parameter| fits(parameter));
    found.filter(|_| remote).copied()
}

fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        results.count(Noun::Policy, 1);
        let location = || Location::line(file.shown.clone(), policy.command_line);
        let fix = || Fix::Run(format!("mcpwrap policy edit {}", file.server));
        let launch = package::parse(&policy.command);
        let set = policy.env.set.iter();
        let set = set.chain(launch.env.iter().map(|(name, value)| (name, value)));
        for (name, value) in set {
            if variable_disables_tls(name, value) {
                let shown = format!("`{name}={value}`");
                results.add(disabled(&shown, location(), fix()).for_server(file.server.as_str()));
            }
            if !name.to_ascii_lowercase().ends_with("_proxy") {
                for (_, address) in unencrypted_urls(value) {
                    results.add(
                        unencrypted(address, location(), fix()).for_server(file.server.as_str()),
                    );
                }
            }
        }
        for word in &policy.command {
            for (_, address) in unencrypted_urls(word) {
                results
                    .add(unencrypted(address, location(), fix()).for_server(file.server.as_str()));
            }
            if argument_disables_tls(word) {
                results.add(
                    disabled(&format!("`{word}`"), location(), fix())
                        .for_server(file.server.as_str()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_texts() {
        for (text, expected) in [
            ("http://10.0.0.5:80/x", vec!["http://10.0.0.5:80/x"]),
            ("--url=ws://a.example", vec!["ws://a.example"]),
            (
                "http://localhost:1 http://b.example",
                vec!["http://b.example"],
            ),
            ("{\"u\":\"http://c.example\"}", vec!["http://c.example"]),
            ("https://a.example", vec![]),
            ("http://${HOST}/x", vec![]),
            ("http://<your-host>/x", vec![]),
            ("http://host.docker.internal:80", vec![]),
            ("xhttp://a.example", vec![]),
        ] {
            let found: Vec<_> = unencrypted_urls(text)
                .into_iter()
                .map(|(_, address)| address)
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn switches() {
        for (name, value, expected) in [
            ("NODE_TLS_REJECT_UNAUTHORIZED", "0", true),
            ("NODE_TLS_REJECT_UNAUTHORIZED", "1", false),
            ("JIRA_SSL_VERIFY", "false", true),
            ("GRAFANA_TLS_SKIP_VERIFY", "true", true),
            ("X_SKIP_TLS_VERIFY", "false", false),
            ("npm_config_strict_ssl", "false", true),
            ("VERIFY", "false", false),
        ] {
            assert_eq!(
                variable_disables_tls(name, value),
                expected,
                "{name}={value}"
            );
        }
        assert!(
            argument_disables_tls("--insecure")
                && argument_disables_tls("--Allow-HTTP=true")
                && !argument_disables_tls("--secure")
        );
        assert_eq!(
            disabling_parameter("postgres://u@db.example/x?sslmode=disable"),
            Some("sslmode=disable")
        );
        assert_eq!(
            disabling_parameter("postgres://u@localhost/x?sslmode=disable"),
            None
        );
    }
}
