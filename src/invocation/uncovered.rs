//! What decides what runs although a grant does not seal it.

use super::directory::code_of;
use super::interpreter::CodeArguments;
use crate::package::{self, ParsedCommand, Registry};
use crate::policy::{Cwd, Policy};

/// What decides what a policy's command runs although its grant does not seal it, in words.
pub fn uncovered(policy: &Policy) -> Vec<&'static str> {
    let launch = package::parse(&policy.command);
    of(policy, &launch, &code_of(policy, &launch))
}

/// The same, for a command that was read.
pub(super) fn of(
    policy: &Policy,
    launch: &ParsedCommand,
    code: &CodeArguments,
) -> Vec<&'static str> {
    let mut all = Vec::new();
    if policy.package.is_none() {
        all.extend(match launch.registry {
            Registry::Npm => Some("packages that it downloads, and `~/.npmrc`, are not covered"),
            Registry::Pypi => {
                Some("packages that it downloads, and uv's or pipx's settings, are not covered")
            }
            Registry::Image => Some("the image and `~/.docker/config.json` are not covered"),
            Registry::Go | Registry::Nuget | Registry::Jsr | Registry::Nix | Registry::Url => {
                Some("code that it downloads is not covered")
            }
            // `uvx --from /x/project prog`
            Registry::Local if launch.spec.is_some() => Some(
                "the directory that it installs, and packages that it downloads, are not covered",
            ),
            Registry::Local => code.uncovered,
        });
    } else if launch.registry == Registry::Image {
        all.push("`~/.docker/config.json` and files that are mounted are not covered");
    }
    if policy.cwd == Cwd::Client {
        all.push(
            "it runs in the client's working directory: files there (`.env`, `.npmrc`) can \
             change what it does",
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_a_launcher_installs_is_named() {
        let notes = |command: &[&str]| {
            let words: Vec<toml::Value> = command.iter().map(|word| (*word).into()).collect();
            let text = format!("version = 1\ncommand = {}\n", toml::Value::from(words));
            let policy = crate::policy::load::parse_text(&text).unwrap();
            uncovered(&policy).concat()
        };
        for command in [
            &["npx", "-y", "/x/project"][..],
            &["uvx", "--from", "/x/project", "server"],
        ] {
            assert!(notes(command).contains("the directory"), "{command:?}");
        }
        assert_eq!(notes(&["/x/server"]), "");
    }
}
