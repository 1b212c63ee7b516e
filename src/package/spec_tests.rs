//! Packages as people write them, and what that pins.

use super::{Pin, Registry};

#[track_caller]
fn case(registry: Registry, text: &str, pin: Pin, package: &str, version: &str) {
    let spec = super::spec::spec(registry, text);
    let got = (
        spec.pin,
        spec.package.unwrap_or_default(),
        spec.version.unwrap_or_default(),
    );
    assert_eq!(got, (pin, package.to_owned(), version.to_owned()), "{text}");
}

#[test]
fn npm_specs() {
    let npm = |text, pin, package, version| case(Registry::Npm, text, pin, package, version);
    npm("server", Pin::Floating, "server", "");
    npm("@s/server", Pin::Floating, "@s/server", "");
    npm("@s/server@1.2.3", Pin::Exact, "@s/server", "1.2.3");
    npm("server@v1.2.3", Pin::Exact, "server", "v1.2.3");
    npm(
        "server@1.2.3-beta.1+b",
        Pin::Exact,
        "server",
        "1.2.3-beta.1+b",
    );
    npm("server@1", Pin::Range, "server", "1");
    npm("server@^1.2.3", Pin::Range, "server", "^1.2.3");
    npm("server@1.2.3 || 2", Pin::Range, "server", "1.2.3 || 2");
    npm("server@1.2.x", Pin::Range, "server", "1.2.x");
    npm("server@*", Pin::Floating, "server", "*");
    npm("server@latest", Pin::Latest, "server", "latest");
    npm("server@next", Pin::Floating, "server", "next");
    npm("server@", Pin::Floating, "server", "");
    npm("alias@npm:@s/real@1.2.3", Pin::Exact, "@s/real", "1.2.3");
    npm("alias@npm:real", Pin::Floating, "real", "");
    npm("github:owner/repo", Pin::Floating, "", "");
    npm("owner/repo#v1", Pin::Floating, "", "");
    npm(
        "owner/repo#0123456789abcdef0123456789abcdef01234567",
        Pin::Exact,
        "",
        "",
    );
    npm("git+ssh://git@host/r.git", Pin::Floating, "", "");
    npm("https://host/p-1.2.3.tgz", Pin::Floating, "", "");
    npm("./server", Pin::Local, "", "");
    npm("C:\\servers\\x", Pin::Local, "", "");
    npm("file:../x", Pin::Local, "", "");
}

#[test]
fn python_specs() {
    let py = |text, pin, package, version| case(Registry::Pypi, text, pin, package, version);
    py("server", Pin::Floating, "server", "");
    py("server@latest", Pin::Latest, "server", "");
    py("server@1.2", Pin::Exact, "server", "1.2");
    py("server==1.2.3", Pin::Exact, "server", "1.2.3");
    py("server[cli]==1.2.3rc1", Pin::Exact, "server", "1.2.3rc1");
    py(
        "server == 1.2 ; python_version > '3'",
        Pin::Exact,
        "server",
        "1.2",
    );
    py("server==1.*", Pin::Range, "server", "");
    py("server==1.2,<2", Pin::Range, "server", "");
    py("server>=1", Pin::Range, "server", "");
    py("server~=1.4", Pin::Range, "server", "");
    py("git+https://host/o/r", Pin::Floating, "", "");
    py("git+https://host/o/r@main", Pin::Floating, "", "");
    py(
        "git+ssh://git@host/r@0123456789abcdef0123456789abcdef01234567#egg=x",
        Pin::Exact,
        "",
        "",
    );
    py("server @ https://host/x.whl", Pin::Floating, "", "");
    py("./dist/server.whl", Pin::Local, "", "");
}

#[test]
fn images_modules_and_urls() {
    let image = |text, pin, package, version| case(Registry::Image, text, pin, package, version);
    image("mcp/github", Pin::ImageLatest, "mcp/github", "");
    image("ghcr.io/g/s:latest", Pin::ImageLatest, "ghcr.io/g/s", "");
    image("ghcr.io/g/s:1.2", Pin::ImageTag, "ghcr.io/g/s", "1.2");
    image("host:5000/s", Pin::ImageLatest, "host:5000/s", "");
    image(
        "host:5000/s:1@sha256:ab",
        Pin::Digest,
        "host:5000/s",
        "sha256:ab",
    );
    case(
        Registry::Go,
        "example.com/s@v1.2.3",
        Pin::Exact,
        "example.com/s",
        "v1.2.3",
    );
    case(
        Registry::Go,
        "example.com/s@latest",
        Pin::Latest,
        "example.com/s",
        "latest",
    );
    case(Registry::Go, "./cmd/server", Pin::Local, "", "");
    case(
        Registry::Url,
        "npm:@s/p@1.2.3/bin",
        Pin::Exact,
        "@s/p",
        "1.2.3",
    );
    case(Registry::Url, "jsr:@s/p", Pin::Floating, "@s/p", "");
    case(
        Registry::Url,
        "https://esm.sh/p@1.2.3/mod.ts",
        Pin::Exact,
        "",
        "1.2.3",
    );
    case(Registry::Url, "https://host/mod.ts", Pin::Floating, "", "");
    case(Registry::Url, "server.ts", Pin::Local, "", "");
}
