//! Masking that is off, flags that log tokens, and logs that contain a secret.

use super::facts::{Facts, Machine};
use super::file::FieldKind;
use super::finding::{Finding, Fix, Location, Severity, quoted};
use super::results::{CheckResults, Noun};
use crate::package;
use crate::policy::Stream;

pub(super) const NAME: &str = "secret-leak";

pub(super) const ABOUT: &str = "\
**Detects** policies that turn masking off for a stream, stored secrets that are not masked because
masking them would corrupt messages (short, digits only, or a word of the protocol), and flags and variables that make programs
log requests with their headers (`DEBUG=*`, `NODE_DEBUG=http`, `mcp-remote --debug`,
`SSLKEYLOGFILE`, `…_LOG=debug` of known SDKs). On a machine, also secrets in the logs of clients:
Claude Desktop (`~/Library/Logs/Claude`, `~/.config/Claude/logs`), Claude Code
(`~/.cache/claude-cli-nodejs`), Cursor and VS Code (`logs` beside their settings). Logs are searched
for known token formats and for the secrets in client configs; with `--verify`, also for each stored
secret.

**Why:** clients save a server's stderr in log files that stay for a long time and end up in bug
reports.

**Remediation:** reset `mask` to its default with `mcpwrap policy edit SERVER`. Choose a longer value
at the provider, and store it with `mcpwrap secret rotate NAME`. Remove the debug flag. Delete the log file, and rotate the secrets that were in it.

**Limitations:** not searched are the logs of other clients and of the servers themselves,
compressed logs, all but the newest 500 files and 256 MiB, and all but the last 16 MiB of a file.
Values in another encoding are not found.
";

const WHY: &str = "clients save server output in log files, which end up in bug reports";
const RULE: (&str, Severity) = (NAME, Severity::High);

/// Variables that make a program log what it sends: name, and words of the value (none: any).
const LOGGING_VARIABLES: &[(&str, &[&str])] = &[
    ("DEBUG", &["*", "express:*", "axios*", "mcp*", "http*"]),
    (
        "NODE_DEBUG",
        &["http", "https", "tls", "net", "request", "undici", "fetch"],
    ),
    ("SSLKEYLOGFILE", &[]),
    ("HTTPX_LOG_LEVEL", &["debug", "trace"]),
    ("OPENAI_LOG", &["debug"]),
    ("ANTHROPIC_LOG", &["debug"]),
    ("STRIPE_LOG", &["debug"]),
    ("MCP_VERY_VERBOSE", &["true", "1", "yes"]),
    ("GRPC_TRACE", &["all", "http"]),
    ("BOTOCORE_DEBUG", &[]),
    ("GH_DEBUG", &["api"]),
    ("GIT_TRACE_CURL", &[]),
    ("GIT_CURL_VERBOSE", &[]),
];

/// Packages whose `--debug` logs credentials.
const DEBUG_LOGS_CREDENTIALS: &[&str] = &["mcp-remote", "supergateway", "mcp-proxy"];

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    let act = || Fix::Act("remove it; it is for debugging only".to_owned());
    results.count(Noun::Entry, 0);
    for file in &facts.files {
        results.count(Noun::Entry, file.servers.len());
        for value in file
            .values
            .iter()
            .filter(|value| value.kind == FieldKind::Env)
        {
            if let Some(what) = logs_requests(&value.name, &value.text) {
                let mut found =
                    Finding::new(RULE, file.location(value.span.start), what, WHY, act());
                found.server = file
                    .server_of(value)
                    .map(|server| server.entry.name.clone());
                results.add(found);
            }
        }
        for server in &file.servers {
            let Some(launch) = &server.launch else {
                continue;
            };
            let words = server.entry.words.iter();
            let flag = words.into_iter().find(|word| word.text == "--debug");
            if let (true, Some(word)) = (debug_logs_credentials(launch), flag) {
                let what = "`--debug` makes the server log what it sends";
                let found = Finding::new(RULE, file.location(word.span.start), what, WHY, act());
                results.add(found.for_server(&server.entry.name));
            }
            for (name, value) in &launch.env {
                if let Some(what) = logs_requests(name, value) {
                    let found = Finding::new(RULE, file.location(server.start), what, WHY, act());
                    results.add(found.for_server(&server.entry.name));
                }
            }
        }
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
        weak(machine, results);
        logs(machine, results);
    }
}

fn debug_logs_credentials(launch: &package::ParsedCommand) -> bool {
    let package = launch.package.as_deref().unwrap_or_default();
    DEBUG_LOGS_CREDENTIALS.contains(&package)
}

fn logs_requests(name: &str, value: &str) -> Option<String> {
    let (name, words) = LOGGING_VARIABLES.iter().find(|(known, _)| *known == name)?;
    let value = value.trim().to_ascii_lowercase();
    let off = matches!(value.as_str(), "" | "0" | "false" | "no" | "off");
    let fits = words.is_empty()
        || value
            .split([',', ' '])
            .any(|part| words.contains(&part.trim()));
    (fits && !off).then(|| format!("`{name}` makes the server log what it sends"))
}

fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        results.count(Noun::Policy, 1);
        let server = file.server.as_str();
        let fix = || Fix::Run(format!("mcpwrap policy edit {server}"));
        let location = || Location::line(file.shown.clone(), policy.command_line);
        for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
            if !policy.limits.mask.contains(&stream) {
                let what = format!("the policy turns masking off for {name}");
                results.add(Finding::new(RULE, location(), what, WHY, fix()).for_server(server));
            }
        }
        let launch = package::parse(&policy.command);
        if debug_logs_credentials(&launch) && policy.command.iter().any(|word| word == "--debug") {
            let what = "`--debug` makes the server log what it sends";
            results.add(Finding::new(RULE, location(), what, WHY, fix()).for_server(server));
        }
        for (name, value) in &policy.env.set {
            if let Some(what) = logs_requests(name, value) {
                results.add(Finding::new(RULE, location(), what, WHY, fix()).for_server(server));
            }
        }
    }
}

/// Values that are injected and not masked.
fn weak(machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    results.count(Noun::StoredSecret, index.secrets.len());
    for (name, _) in index.secrets.iter().filter(|(_, entry)| entry.weak) {
        results.add(Finding::new(
            (NAME, Severity::Medium),
            Location::whole(machine.index_shown.clone()),
            format!("`{name}` is not masked, because its value is short or a common word"),
            WHY,
            Fix::Run(format!("mcpwrap secret rotate {name}")),
        ));
    }
}

fn logs(machine: &Machine, results: &mut CheckResults) {
    for line in &machine.logged {
        let fix = Fix::Run(format!("rm {}", quoted(&line.shown)));
        let location = Location::line(line.shown.clone(), line.line);
        let what = "a client log contains a secret, which must be rotated";
        let mut found = Finding::new(RULE, location, what, WHY, fix);
        found.value = Some(line.value.clone());
        results.add(found);
    }
}

#[cfg(test)]
mod tests {
    use super::logs_requests;

    #[test]
    fn variables_that_log_requests() {
        for (name, value, expected) in [
            ("DEBUG", "*", true),
            ("DEBUG", "app:db", false),
            ("DEBUG", "false", false),
            ("NODE_DEBUG", "fs,http", true),
            ("NODE_DEBUG", "fs", false),
            ("SSLKEYLOGFILE", "/tmp/keys", true),
            ("LOG_LEVEL", "debug", false),
        ] {
            assert_eq!(
                logs_requests(name, value).is_some(),
                expected,
                "{name}={value}"
            );
        }
    }
}
