//! One package as a launcher takes it: `@scope/name@1.2.3`, `name[extra]==1`, `image:tag`.
//!
//! Only a version number, which registries promise not to reuse, a full commit ID and a digest are
//! exact. Nothing is fetched.

use super::{Pin, Registry};

/// The parts of a package as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub registry: Registry,
    pub pin: Pin,
    pub package: Option<String>,
    pub version: Option<String>,
    pub obstacle: Option<&'static str>,
}

const FROM_GIT: &str = "from a git repository, not from a registry";
const FROM_URL: &str = "from a URL, not from a registry";
const NOT_HERE: &str = "only npm, PyPI and container images can be pinned";

pub(super) fn spec(registry: Registry, text: &str) -> Spec {
    match registry {
        Registry::Npm => npm(text),
        Registry::Pypi => python(text),
        Registry::Image => image(text),
        Registry::Go => module(text),
        Registry::Nuget => Spec {
            obstacle: Some(NOT_HERE),
            ..versioned(registry, text)
        },
        Registry::Url | Registry::Jsr => address(text),
        Registry::Nix => flake(text),
        Registry::Local => local(),
    }
}

fn local() -> Spec {
    let obstacle = None;
    Spec {
        registry: Registry::Local,
        pin: Pin::Local,
        package: None,
        version: None,
        obstacle,
    }
}

fn unnamed(registry: Registry, pin: Pin, obstacle: &'static str) -> Spec {
    Spec {
        registry,
        pin,
        package: None,
        version: None,
        obstacle: Some(obstacle),
    }
}

/// A local path: npm and uv read it as a directory or an archive.
fn is_path(text: &str) -> bool {
    let drive = text.as_bytes().get(1) == Some(&b':') && text.contains(['/', '\\']);
    text.starts_with(['.', '/', '~', '\\']) || text.starts_with("file:") || drive
}

fn npm(text: &str) -> Spec {
    if is_path(text) {
        return local();
    }
    // `alias@npm:real@1.2.3` installs `real` under the name `alias`.
    let text = text.split_once("@npm:").map_or(text, |(_, real)| real);
    let hosted = [
        "github:",
        "gitlab:",
        "bitbucket:",
        "gist:",
        "git+",
        "git:",
        "git@",
        "ssh:",
    ];
    let short = !text.starts_with('@') && text.contains('/') && !text.contains("://");
    if hosted.iter().any(|head| text.starts_with(head)) || short {
        return unnamed(
            Registry::Npm,
            commit(text.rsplit_once('#').map(|(_, id)| id)),
            FROM_GIT,
        );
    }
    if text.contains("://") {
        return unnamed(Registry::Npm, Pin::Floating, FROM_URL);
    }
    versioned(Registry::Npm, text)
}

/// `name@version`, where the name may itself start with `@`.
fn versioned(registry: Registry, text: &str) -> Spec {
    let at = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| *c == '@')
        .map(|(n, _)| n);
    let (name, version) = match at.and_then(|at| text.split_at_checked(at)) {
        Some((name, version)) => (name, version.get(1..)),
        None => (text, None),
    };
    let pin = version.map_or(Pin::Floating, semver_pin);
    Spec {
        registry,
        pin,
        package: Some(name.to_owned()).filter(|name| !name.is_empty()),
        version: version.filter(|v| !v.is_empty()).map(str::to_owned),
        obstacle: None,
    }
}

fn semver_pin(version: &str) -> Pin {
    let bare = version.trim().trim_start_matches(['=', 'v']);
    if version == "latest" {
        Pin::Latest
    } else if is_full_version(bare) {
        Pin::Exact
    } else if version.starts_with(|c: char| c.is_ascii_digit() || "^~<>=*v".contains(c)) {
        if version.starts_with('*') {
            Pin::Floating
        } else {
            Pin::Range
        }
    } else {
        Pin::Floating
    }
}

/// `1.2.3`, with or without a pre-release and a build.
fn is_full_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3
        && numbers
            .iter()
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        && !text.contains([' ', '|', '*'])
}

/// A full commit ID cannot be moved; a branch, tag or short ID can.
fn commit(id: Option<&str>) -> Pin {
    let full = |id: &str| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if id.is_some_and(full) {
        Pin::Exact
    } else {
        Pin::Floating
    }
}

fn python(text: &str) -> Spec {
    if is_path(text) {
        return local();
    }
    let source = text
        .split_once(" @ ")
        .map_or(text, |(_, source)| source)
        .trim();
    if source.starts_with("git+") || source.starts_with("hg+") {
        // The first `@` may belong to `git+ssh://git@host`.
        let path = source.split_once("://").map_or(source, |(_, path)| path);
        let path = path.split('#').next().unwrap_or_default();
        let id = path.rsplit_once('@').map(|(_, id)| id);
        return unnamed(Registry::Pypi, commit(id), FROM_GIT);
    }
    if source.contains("://") {
        return unnamed(Registry::Pypi, Pin::Floating, FROM_URL);
    }
    let end = text.find(|c| "@=<>!~ ;".contains(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.split(';').next().unwrap_or_default().trim();
    let version = rest.trim_start_matches(|c| "@= ".contains(c)).trim();
    let pin = match rest {
        "" => Pin::Floating,
        _ if rest.starts_with('@') && version == "latest" => Pin::Latest,
        _ if rest.starts_with(['@', '=']) && is_python_version(version) => Pin::Exact,
        _ => Pin::Range,
    };
    Spec {
        registry: Registry::Pypi,
        pin,
        package: Some(name.split('[').next().unwrap_or(name).to_owned()),
        version: (pin == Pin::Exact).then(|| version.to_owned()),
        obstacle: None,
    }
}

/// One version, not a pattern (`1.*`) and without a second condition (`1,<2`).
fn is_python_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".!+_-".contains(&b))
}

fn image(text: &str) -> Spec {
    let text = text.strip_prefix("docker.io/").unwrap_or(text);
    let spec = |name: &str, pin, version: Option<&str>| Spec {
        registry: Registry::Image,
        pin,
        package: Some(name.to_owned()),
        version: version.map(str::to_owned),
        obstacle: None,
    };
    if let Some((name, digest)) = text.split_once('@') {
        return spec(untagged(name).0, Pin::Digest, Some(digest));
    }
    match untagged(text) {
        (name, None | Some("latest")) => spec(name, Pin::ImageLatest, None),
        (name, tag) => spec(name, Pin::ImageTag, tag),
    }
}

/// The tag follows the last colon, unless that colon belongs to a port (`host:5000/name`).
fn untagged(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// `module/path@v1.2.3`; without a version it is a directory or a module of the current one.
fn module(text: &str) -> Spec {
    if is_path(text) || !text.contains('@') {
        return local();
    }
    Spec {
        obstacle: Some(NOT_HERE),
        ..versioned(Registry::Go, text)
    }
}

/// What deno and jbang take: a URL, `npm:`, `jsr:`, or a file.
fn address(text: &str) -> Spec {
    if let Some(rest) = text.strip_prefix("npm:") {
        return Spec {
            obstacle: Some("run by deno, not by Node.js"),
            ..npm(package_path(rest))
        };
    }
    if let Some(rest) = text.strip_prefix("jsr:") {
        return Spec {
            obstacle: Some(NOT_HERE),
            ..versioned(Registry::Jsr, package_path(rest))
        };
    }
    if text.contains("://") {
        let version = text.split(['/', '?']).find_map(|part| {
            let (_, version) = part.rsplit_once('@')?;
            is_full_version(version.trim_start_matches('v')).then(|| version.to_owned())
        });
        let pin = if version.is_some() {
            Pin::Exact
        } else {
            Pin::Floating
        };
        return Spec {
            version,
            ..unnamed(Registry::Url, pin, FROM_URL)
        };
    }
    if !is_path(text) && text.contains('@') {
        return unnamed(Registry::Url, Pin::Floating, NOT_HERE);
    }
    local()
}

/// `@scope/name@1.2.3/bin` without the last part.
fn package_path(text: &str) -> &str {
    let slashes = if text.starts_with('@') { 2 } else { 1 };
    text.match_indices('/')
        .nth(slashes - 1)
        .map_or(text, |(n, _)| text.get(..n).unwrap_or(text))
}

/// `github:owner/repo#program`, `nixpkgs#program`. Only a full commit is exact.
fn flake(text: &str) -> Spec {
    let reference = text.split('#').next().unwrap_or_default();
    let is_here = is_path(text) || reference.is_empty() || text.starts_with("path:");
    if is_here {
        return local();
    }
    let parts = reference.split(['/', '?', '&', '=']);
    let pin = parts.map(|part| commit(Some(part))).max();
    unnamed(Registry::Nix, pin.unwrap_or(Pin::Floating), NOT_HERE)
}
