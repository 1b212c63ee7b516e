//! Whether a policy's command always starts the same version.
//!
//! The answer is no for anything that `parse` does not understand of a launcher. An exact version
//! is enough to start, although the launcher then still resolves its dependencies; `mcpwrap pin`
//! pins those too.

use super::{ParsedCommand, Pin, Registry, parse};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::policy::{Policy, Unpinned};

/// Refuses a command without a fixed version, unless the policy allows that and the administrator
/// does not forbid it.
///
/// # Errors
/// `unpinned`.
pub fn check_pinned(policy: &Policy, config: &Config) -> Result<()> {
    let forbidden = config.managed.forbid_unpinned;
    if policy.package.is_some() || (policy.limits.unpinned == Unpinned::Allow && !forbidden) {
        return Ok(());
    }
    let launch = parse(&policy.command);
    if launch.pin.holds() {
        return Ok(());
    }
    let server = &policy.server;
    let what = match &launch.package {
        Some(package) => format!("`{package}` is not pinned"),
        None => "its command is not pinned".to_owned(),
    };
    let error = Error::new(Code::Unpinned, what)
        .not_started(server)
        .cause(format!(
            "{} starts {}",
            policy.place(policy.command_line),
            described(&launch)
        ));
    let allow = "to start it anyway, set `unpinned = \"allow\"` under `[limits]`";
    Err(match (launch.obstacle, forbidden) {
        (None, _) => error.hint(format!(
            "run `mcpwrap pin {server}` to install and pin one version"
        )),
        (Some(obstacle), true) => error
            .cause(format!("`mcpwrap pin` cannot pin it: {obstacle}"))
            .hint("use an exact version: the administrator forbids unpinned servers"),
        (Some(obstacle), false) => error
            .cause(format!("`mcpwrap pin` cannot pin it: {obstacle}"))
            .hint(allow),
    })
}

/// Describes what a command starts.
fn described(launch: &ParsedCommand) -> String {
    let Some(spec) = &launch.spec else {
        return format!("`{}` without a version", launch.launcher);
    };
    let which = match launch.pin {
        Pin::Latest | Pin::ImageLatest => "the latest version at each start",
        Pin::Range => "any version in the range",
        Pin::ImageTag => "a mutable tag",
        _ if launch.registry == Registry::Image => "an image without a digest",
        _ if !launch.with.is_empty() => "with packages that have no exact version",
        _ => "without a fixed version",
    };
    format!("`{spec}`, {which}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load::parse_text;

    fn refusal(command: &str, limits: &str, forbid: bool) -> Option<String> {
        let words: Vec<_> = command.split(' ').collect();
        let text = format!(
            "version = 1\ncommand = {}\n{limits}",
            toml::Value::from(words)
        );
        let mut config = Config::default();
        config.managed.forbid_unpinned = forbid;
        check_pinned(&parse_text(&text).unwrap(), &config)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_command_that_can_change_is_refused() {
        let allow = "[limits]\nunpinned = \"allow\"";
        assert_eq!(refusal("npx -y server@1.2.3", "", true), None);
        assert_eq!(refusal("node /x/server.js", "", true), None);
        assert_eq!(refusal("docker run -i s@sha256:ab", "", true), None);
        assert_eq!(refusal("npx -y server", allow, false), None);
        let text = refusal("npx -y server", "", false).unwrap();
        assert!(
            text.contains("error[unpinned]") && text.contains("`mcpwrap pin "),
            "{text}"
        );
        for command in [
            "npx -y server@latest",
            "uvx server",
            "docker run s:1",
            "npx -y s@^1",
        ] {
            assert!(refusal(command, allow, true).is_some(), "{command}");
            assert!(refusal(command, "", false).is_some(), "{command}");
        }
        let text = refusal("npx -y -c x", "", false).unwrap();
        assert!(
            text.contains("a shell script") && text.contains("unpinned = "),
            "{text}"
        );
    }
}
