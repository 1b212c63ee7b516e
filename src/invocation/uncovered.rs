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
