//! What decides what runs although a grant does not seal it.

use super::interpreter::CodeArguments;
use crate::package::{ParsedCommand, Registry};
use crate::policy::{Cwd, Policy};

/// The words that a grant shows about a command.
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
    use super::super::directory::code_of;
    use super::*;
    use crate::package;

    #[test]
    fn a_directory_that_a_launcher_installs_is_named() {
        let notes = |command: &[&str]| {
            let words: Vec<toml::Value> = command.iter().map(|word| (*word).into()).collect();
            let text = format!("version = 1\ncommand = {}\n", toml::Value::from(words));
            let policy = crate::policy::load::parse_text(&text).unwrap();
            let launch = package::parse(&policy.command);
            of(&policy, &launch, &code_of(&policy, &launch, false)).concat()
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
