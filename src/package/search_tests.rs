//! Launchers behind other words, and what they start.

use super::parse;

/// `wrapper | launcher | pin | package | obstacle`.
#[track_caller]
fn behind(line: &str, expected: &str) {
    let words: Vec<_> = line.split(' ').map(|word| word.replace('·', " ")).collect();
    let launch = parse(&words);
    let spec = launch.spec.clone().unwrap_or_else(|| "-".to_owned());
    let wrapper = launch.wrapper.join(" ");
    let got = [
        wrapper.as_str(),
        launch.launcher.as_str(),
        launch.pin.label(),
        &spec,
        launch.obstacle.unwrap_or("-"),
    ];
    assert_eq!(got.join(" | ").trim(), expected, "{line}");
}

const BEHIND: &[(&str, &str)] = &[
    (
        "dotenv -e .env -- npx -y s",
        "dotenv -e .env -- | npx | floating | s | -",
    ),
    (
        "env-cmd -f .env npx s@1.2.3",
        "env-cmd -f .env | npx | pinned exact | s@1.2.3 | -",
    ),
    (
        "aws-vault exec p -- uvx s@latest",
        "aws-vault exec p -- | uvx | latest | s@latest | -",
    ),
    (
        "fnm exec --using=22 npx -y s",
        "fnm exec --using=22 | npx | floating | s | -",
    ),
    (
        "no-such-wrapper a b /opt/bin/npx s",
        "no-such-wrapper a b | npx | floating | s | -",
    ),
    ("op run -- npx s", "op run -- | npx | floating | s | -"),
    (
        "op run -- server --x",
        "op run -- | server | local path | - | -",
    ),
    (
        "env A=1 dotenvx run -- nice uvx s",
        "dotenvx run -- | uvx | floating | s | -",
    ),
    (
        "dotenvx·run·-f·.env·--·npx -y s",
        "dotenvx run -f .env -- | npx | floating | s | -",
    ),
    ("node /n/npx-cli.js -y s", "| npx | floating | s | -"),
    ("corepack pnpm@9 dlx s", "| pnpm dlx | floating | s | -"),
    ("cmd /c npx·-y·s", "| npx | floating | s | -"),
    (
        "xvfb-run -a docker run -i s",
        "xvfb-run -a | docker run | docker latest/no tag | s | -",
    ),
    (
        "powershell -Command npx -y s",
        "powershell -Command | npx | floating | s | -",
    ),
    (
        "powershell -c &·'npx'·-y·s",
        "| npx | floating | s | an argument contains its command line",
    ),
    (
        "wsl.exe npx -y s",
        "wsl.exe | npx | floating | s | starts on another machine, in a container or as another user",
    ),
    (
        "ssh host -- uvx s@1.2",
        "ssh host -- | uvx | pinned exact | s@1.2 | starts on another machine, in a container or as another user",
    ),
    (
        "ssh host cd·/x·&&·uvx·s",
        "| uvx | floating | s | an argument contains its command line",
    ),
    (
        "python -c run([\"npx\",\"-y\",\"s\"])",
        "| npx | floating | s | an argument contains its command line",
    ),
    (
        "proxy --stdio=npx·-y·s",
        "| npx | floating | s | an argument contains its command line",
    ),
    (
        "proxy --command npx --args=-y,s",
        "| npx | floating | - | an argument contains its command line",
    ),
    (
        "npx·-y·$PACKAGE",
        "| npx | floating | $PACKAGE | an argument contains its command line",
    ),
    (
        "npx -y supergateway@3.4.0 --stdio npx·-y·s",
        "| npx | floating | supergateway@3.4.0 | its arguments start another package",
    ),
    (
        "npx -y gateway@3.4.0 -- uvx s@latest",
        "| npx | latest | gateway@3.4.0 | its arguments start another package",
    ),
    (
        "docker run node@sha256:ab npx -y s",
        "| docker run | floating | node@sha256:ab | its arguments start another package",
    ),
    (
        "docker run node@sha256:ab npx -y s@1.2.3",
        "| docker run | pinned exact | node@sha256:ab | -",
    ),
    ("uv run --with s s", "| uv run | floating | s | -"),
    (
        "uv run --with t==1 --with s==2 s --x",
        "| uv run | pinned exact | s==2 | -",
    ),
    (
        "uv run --with mcp server.py",
        "| uv run | floating | mcp | starts a script or a project with further packages",
    ),
    (
        "nix run github:a/b",
        "| nix run | floating | github:a/b | only npm, PyPI and container images can be pinned",
    ),
    ("nix run .#server", "| nix run | local path | .#server | -"),
    (
        "nix develop -c npx -y s",
        "nix develop -c | npx | floating | s | -",
    ),
    // Local programs stay what they are.
    ("node /x/y.js --mode npm", "| node | local path | - | -"),
    ("uv run --directory /x s.py", "| uv | local path | - | -"),
    ("sh /x/npx.sh a", "| sh | local path | - | -"),
    (
        "server --about a·text·about·docker",
        "| server | local path | - | -",
    ),
    ("/a·b/server --x", "| server | local path | - | -"),
];

#[test]
fn a_launcher_behind_any_wrapper_counts() {
    for (line, expected) in BEHIND {
        behind(line, expected);
    }
}
