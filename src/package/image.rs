//! Container images: pinned by digest, and started without values on the command line.
//!
//! The docker or podman that the command names tells the digest; nothing is pulled here.
//! `-e NAME=value` becomes `-e NAME`, with the value in the environment of docker, because all
//! users can see the arguments of a program.

use std::path::Path;

use serde_json::Value;

use super::client::Call;
use super::progress::InstallPhase;
use super::request::{PinReport, PinRequest, failed};
use super::{ParsedCommand, Pin, local};
use crate::error::{Code, Error, Result};
use crate::policy::Package;
use crate::policy::package::PackageSource;

pub(super) fn pin(dir: &Path, request: &PinRequest<'_>) -> Result<(Package, PinReport)> {
    let (launch, server) = (request.launch, request.server);
    let name = launch
        .package
        .clone()
        .ok_or_else(|| failed(server).cause("no image named"))?;
    request.phase(InstallPhase::Asking);
    let digest = match (request.to, launch.pin, &launch.version) {
        (Some(to), ..) if to.starts_with("sha256:") => to.to_owned(),
        (None, Pin::Digest, Some(digest)) => digest.clone(),
        (to, _, version) => {
            let tag = to.or(version.as_deref()).unwrap_or("latest");
            ask(dir, request, &format!("{name}:{tag}"))?
        }
    };
    let package = Package {
        name,
        version: digest,
        ..Package::bare(PackageSource::Image)
    };
    let limit = Some(
        "the container engine checks the digest at each start, and pulls the image if it is missing",
    );
    Ok((
        package,
        PinReport {
            limit,
            ..PinReport::default()
        },
    ))
}

/// The digest of an image: from the registry, or else from the engine's own copy.
fn ask(dir: &Path, request: &PinRequest<'_>, image: &str) -> Result<String> {
    let words = &request.launch.words;
    let program = words
        .first()
        .and_then(|name| local::find(name))
        .ok_or_else(|| {
            let name = words.first().map(String::as_str).unwrap_or_default();
            failed(request.server).cause(format!(
                "program `{name}` not found; it is needed to look up the image's digest"
            ))
        })?;
    let registry = [
        "buildx",
        "imagetools",
        "inspect",
        "--format",
        "{{json .Manifest}}",
        image,
    ];
    let own = [
        "image",
        "inspect",
        "--format",
        "{{json .RepoDigests}}",
        image,
    ];
    let first = Call::new(&program, dir).args(&registry).output();
    if let Some(digest) = first.as_ref().ok().and_then(|answer| of_manifest(answer)) {
        return Ok(digest);
    }
    let second = Call::new(&program, dir).args(&own).output();
    if let Some(digest) = second.as_ref().ok().and_then(|answer| of_copies(answer)) {
        return Ok(digest);
    }
    let said = first.err().or(second.err());
    let said = said.filter(|error| !error.causes.is_empty());
    let error = Error::new(
        Code::PackageFailed,
        format!("cannot pin server `{}`", request.server),
    )
    .cause(format!("unknown digest of `{image}`"));
    let error = match said {
        Some(said) => error.because(said),
        None => error.cause("neither the registry nor the container engine has it"),
    };
    Err(error.hint(format!(
        "run `mcpwrap pin {} --to sha256:…` to pin a digest that you know",
        request.server
    )))
}

fn of_manifest(answer: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    is_digest(value.get("digest")?.as_str()?)
}

fn of_copies(answer: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let (_, digest) = value.as_array()?.first()?.as_str()?.split_once('@')?;
    is_digest(digest)
}

fn is_digest(text: &str) -> Option<String> {
    let hash = text.strip_prefix("sha256:")?;
    let is_sha256 = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_sha256.then(|| text.to_owned())
}

/// The command line with the image by digest and no value in it, and the variables for its client.
pub(super) fn command(launch: &ParsedCommand, image: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut words = Vec::new();
    let mut env = Vec::new();
    // The image comes before the server's own arguments, and only options come before the image.
    let options = launch.words.len().saturating_sub(launch.args.len() + 1);
    let mut rest = launch.words.iter().take(options);
    while let Some(word) = rest.next() {
        match word.as_str() {
            word if is_env_flag(word) => {
                words.push(word.to_owned());
                words.extend(rest.next().map(|pair| named(pair, &mut env)));
            }
            _ => match word.strip_prefix("--env=").or_else(|| joined_value(word)) {
                Some(pair) => words.extend(["-e".to_owned(), named(pair, &mut env)]),
                None => words.push(word.clone()),
            },
        }
    }
    words.push(image.to_owned());
    words.extend(launch.args.iter().cloned());
    (words, env)
}

/// `-e`, `--env`, or `-e` after options without a value, as in `-ie`.
fn is_env_flag(word: &str) -> bool {
    let letters = word
        .strip_prefix('-')
        .and_then(|rest| rest.strip_suffix('e'));
    word == "--env" || letters.is_some_and(|letters| letters.chars().all(|c| "itdPq".contains(c)))
}

/// `-eNAME=value` without the `-e`.
fn joined_value(word: &str) -> Option<&str> {
    word.strip_prefix("-e").filter(|rest| rest.contains('='))
}

fn named(pair: &str, env: &mut Vec<(String, String)>) -> String {
    match pair.split_once('=') {
        Some((name, value)) => {
            env.push((name.to_owned(), value.to_owned()));
            name.to_owned()
        }
        None => pair.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::parse;

    #[test]
    fn values_leave_the_command_line_and_the_image_gets_its_digest() {
        for (line, expected, variables) in [
            (
                "docker run -i --rm -e A=1 s:1 x",
                "docker run -i --rm -e A s@D x",
                "A=1",
            ),
            (
                "docker run --env=A=1 -eB=2 -e C s",
                "docker run -e A -e B -e C s@D",
                "A=1 B=2",
            ),
            (
                "podman run -i -v /a:/b s -e D=4",
                "podman run -i -v /a:/b s@D -e D=4",
                "",
            ),
            (
                "docker run --env A=b=c s@sha256:ab",
                "docker run --env A s@D",
                "A=b=c",
            ),
            ("docker run -ie A=1 s", "docker run -ie A s@D", "A=1"),
            ("cmd /c docker run -e A= s", "docker run -e A s@D", "A="),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let (words, env) = command(&parse(&words), "s@D");
            let env: Vec<_> = env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(
                (words.join(" ").as_str(), env.join(" ").as_str()),
                (expected, variables)
            );
        }
    }

    #[test]
    fn answers_of_container_engines() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let manifest = format!(r#"{{"mediaType":"x","digest":"{digest}","size":1}}"#);
        assert_eq!(of_manifest(manifest.as_bytes()), Some(digest.clone()));
        let copies = format!(r#"["mcp/s@{digest}"]"#);
        assert_eq!(of_copies(copies.as_bytes()), Some(digest));
        assert_eq!(of_manifest(br#"{"digest":"sha256:../x"}"#), None);
        assert_eq!(of_copies(b"[]"), None);
    }
}
