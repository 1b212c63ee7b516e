//! Check 5: addresses that are not encrypted, and TLS checks that are turned off.

use super::facts::{Facts, Machine};
use super::file::{CheckedServer, ConfigFile, ConfigValue, FieldKind, host};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::CheckResults;
use crate::package::{self, Transport, transport};

pub(super) const NAME: &str = "insecure-transport";

pub(super) const ABOUT: &str = "\
**Looks for** `http://` and `ws://` to another machine: the address of a server, the address behind a bridge such as
`mcp-remote`, addresses in arguments and variables; and for switches that turn the check of certificates off:
`NODE_TLS_REJECT_UNAUTHORIZED=0`, `--insecure`, `…_SSL_VERIFY=false`, `…SKIP_TLS_VERIFY=true`, `sslmode=disable` and their kin. In the
clients' files and in policies.

**Why:** whoever is on the way (the café, the company's proxy, the next machine in a container network) reads the token, and can
answer in the server's place. Without the check of certificates `https://` is no better.

**Remediation:** write `https://` or `wss://`. For a certificate of your own authority, `NODE_EXTRA_CA_CERTS` or `SSL_CERT_FILE` name it, and
the check stays on.

**Known misses:** addresses that are put together from references; what a server opens by itself; weak ciphers. Local
are only `localhost`, loopback addresses and `host.docker.internal`: a name such as `http://ollama:11434` is another machine.
";

const WHY: &str =
    "whoever is on the way reads the credential, and can answer in the server's place";
const RULE: (&str, Severity) = (NAME, Severity::Critical);

/// Arguments that turn the check of certificates off.
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

/// How the names of variables end that turn it off by "yes".
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

/// How the names end that turn it off by "no".
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

/// Parts of a connection string that turn it off.
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
    for file in &facts.files {
        results.count(file.servers.len());
        for server in &file.servers {
            for (name, value) in set_on_the_way(server) {
                if is_off(name, value) {
                    let location = file.location(server.start);
                    results.add(
                        off(&format!("`{name}={value}`"), location, edit()).of(&server.entry.name),
                    );
                }
            }
        }
        for value in &file.values {
            one(file, value, results);
        }
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
}

/// How a server of a file is reached: what the labels of a corpus call its transport.
pub fn way(server: &CheckedServer) -> Transport {
    server.url().map_or(Transport::Stdio, transport)
}

fn edit() -> Fix {
    Fix::Act("write `https://` or `wss://`, and leave the check of certificates on".to_owned())
}

/// Variables that the command line itself sets: `env X=Y npx …`.
fn set_on_the_way(server: &CheckedServer) -> impl Iterator<Item = (&str, &str)> {
    let env = server.launch.iter().flat_map(|launch| &launch.env);
    env.map(|(name, value)| (name.as_str(), value.as_str()))
}

fn one(file: &ConfigFile, value: &ConfigValue, results: &mut CheckResults) {
    let name = file
        .server_of(value)
        .map_or("", |server| server.entry.name.as_str());
    let mut add = |finding: Finding| {
        results.add(if name.is_empty() {
            finding
        } else {
            finding.of(name)
        });
    };
    let is_proxy = value.name.to_ascii_lowercase().ends_with("_proxy");
    if !is_proxy {
        for (at, address) in plain(&value.text) {
            let location = file.location_of(value, &(at..at + address.len()));
            add(open(address, location, edit()));
        }
    }
    match value.kind {
        FieldKind::Env | FieldKind::Setting if is_off(&value.name, &value.text) => {
            let shown = format!("`{}={}`", value.name, value.text);
            add(off(&shown, file.location(value.span.start), edit()));
        }
        FieldKind::Argument if is_switch(&value.text) => {
            add(off(
                &format!("`{}`", value.text),
                file.location(value.span.start),
                edit(),
            ));
        }
        _ => {}
    }
    if let Some(parameter) = parameter(&value.text) {
        add(off(
            &format!("`{parameter}`"),
            file.location(value.span.start),
            edit(),
        ));
    }
}

fn open(address: &str, location: Location, fix: Fix) -> Finding {
    let scheme = address.split("://").next().unwrap_or_default();
    let host = host(address).unwrap_or_default();
    let what = format!("`{scheme}://{host}` is another machine, and not encrypted");
    Finding::new(RULE, location, what, WHY, fix)
}

fn off(switch: &str, location: Location, fix: Fix) -> Finding {
    let what = format!("{switch} turns encryption, or its checks, off");
    Finding::new(RULE, location, what, WHY, fix)
}

/// The addresses in a text that leave the machine unencrypted, and where they begin.
fn plain(text: &str) -> Vec<(usize, &str)> {
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

fn is_switch(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ARGUMENTS.contains(&word.strip_suffix("=true").unwrap_or(&word))
}

fn is_off(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let value = value.trim().to_ascii_lowercase();
    let yes = matches!(value.as_str(), "1" | "true" | "yes" | "on");
    let no = matches!(value.as_str(), "0" | "false" | "no" | "off");
    if BY_YES.iter().any(|end| name.ends_with(end)) {
        return yes;
    }
    no && BY_NO.iter().any(|end| name.ends_with(end))
}

/// A parameter of a connection to another machine.
fn parameter(text: &str) -> Option<&'static str> {
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
        results.count(1);
        let location = || Location::line(file.shown.clone(), policy.command_line);
        let fix = || Fix::Run(format!("mcpwrap policy edit {}", file.server));
        let launch = package::parse(&policy.command);
        let set = policy.env.set.iter();
        let set = set.chain(launch.env.iter().map(|(name, value)| (name, value)));
        for (name, value) in set {
            if is_off(name, value) {
                let shown = format!("`{name}={value}`");
                results.add(off(&shown, location(), fix()).of(file.server.as_str()));
            }
            if !name.to_ascii_lowercase().ends_with("_proxy") {
                for (_, address) in plain(value) {
                    results.add(open(address, location(), fix()).of(file.server.as_str()));
                }
            }
        }
        for word in &policy.command {
            for (_, address) in plain(word) {
                results.add(open(address, location(), fix()).of(file.server.as_str()));
            }
            if is_switch(word) {
                results.add(off(&format!("`{word}`"), location(), fix()).of(file.server.as_str()));
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
            let found: Vec<_> = plain(text)
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
            assert_eq!(is_off(name, value), expected, "{name}={value}");
        }
        assert!(
            is_switch("--insecure") && is_switch("--Allow-HTTP=true") && !is_switch("--secure")
        );
        assert_eq!(
            parameter("postgres://u@db.example/x?sslmode=disable"),
            Some("sslmode=disable")
        );
        assert_eq!(parameter("postgres://u@localhost/x?sslmode=disable"), None);
    }
}
