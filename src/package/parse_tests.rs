//! Command lines as people write them, and what they start.

use super::{ParsedCommand, Registry, parse};

fn launch(line: &str) -> ParsedCommand {
    let words: Vec<_> = line.split(' ').map(|word| word.replace('·', " ")).collect();
    parse(&words)
}

/// `launcher | pin | package | its program | the server's arguments`, with `-` for none; `·` means
/// a space within a word.
#[track_caller]
fn case(line: &str, expected: &str) {
    let launch = launch(line);
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (spec, entry) = (or_dash(&launch.spec), or_dash(&launch.entry));
    let args = launch.args.join(" ");
    let got = [
        launch.launcher.as_str(),
        launch.pin.label(),
        &spec,
        &entry,
        &args,
    ]
    .join(" | ");
    assert_eq!(got.trim(), expected, "{line}");
}

#[test]
fn npm_launchers() {
    case(
        "npx -y s@1.2.3 --a b",
        "npx | pinned exact | s@1.2.3 | - | --a b",
    );
    case("npx s", "npx | floating | s | - |");
    case(
        "/opt/node/bin/npx --yes @s/p@latest",
        "npx | latest | @s/p@latest | - |",
    );
    case("npx -y -- s@^1 -- x", "npx | range | s@^1 | - | -- x");
    case(
        "npx -p s@1.2.3 bin -x",
        "npx | pinned exact | s@1.2.3 | bin | -x",
    );
    case(
        "npx --package=s@1.2.3 -y bin",
        "npx | pinned exact | s@1.2.3 | bin |",
    );
    case(
        "npx -p s@1.2.3 -p t bin",
        "npx | floating | s@1.2.3 | bin |",
    );
    case(
        "npx --registry https://r s@1.2.3",
        "npx | pinned exact | s@1.2.3 | - |",
    );
    case(
        "npx --unknown value s@1.2.3",
        "npx | pinned exact | s@1.2.3 | - |",
    );
    case("npx -y ./dir", "npx | local path | ./dir | - |");
    case("npx -y owner/repo", "npx | floating | owner/repo | - |");
    case("npx -y -c node·x", "npx | floating | - | - |");
    case(
        "npx -p s@1.2.3 -c bin·--a·'b·c'",
        "npx | pinned exact | s@1.2.3 | bin | --a b c",
    );
    case("npx", "npx | floating | - | - |");
    case(
        "npm exec --yes -- s@1.2.3 --a",
        "npm exec | pinned exact | s@1.2.3 | - | --a",
    );
    case(
        "npm exec s@1.2.3 --eaten -- --a",
        "npm exec | pinned exact | s@1.2.3 | - | --a",
    );
    case("npm --yes x s", "npm x | floating | s | - |");
    case(
        "pnpm dlx s@1.2.3 a",
        "pnpm dlx | pinned exact | s@1.2.3 | - | a",
    );
    case(
        "pnpm --package=s@1.2.3 dlx bin a",
        "pnpm dlx | pinned exact | s@1.2.3 | bin | a",
    );
    case("pnpm run x", "pnpm | local path | - | pnpm | run x");
    case(
        "yarn dlx -p s@1.2.3 bin",
        "yarn dlx | pinned exact | s@1.2.3 | bin |",
    );
    case("bunx --bun s@latest a", "bunx | latest | s@latest | - | a");
    case("bun x s@1.2.3", "bun x | pinned exact | s@1.2.3 | - |");
    case("bun run start", "bun | local path | - | bun | run start");
}

#[test]
fn python_launchers() {
    case("uvx s", "uvx | floating | s | - |");
    case("uvx s@1.2 --a", "uvx | pinned exact | s@1.2 | - | --a");
    case(
        "uvx --from s==1.2 bin x",
        "uvx | pinned exact | s==1.2 | bin | x",
    );
    case(
        "uvx --python 3.12 --from git+https://h/r bin",
        "uvx | floating | git+https://h/r | bin |",
    );
    case("uvx --with t s==1.2", "uvx | floating | s==1.2 | - |");
    case(
        "uvx --with t==1,u==2 s==1.2",
        "uvx | pinned exact | s==1.2 | - |",
    );
    case("uvx --directory /x s", "uvx | floating | s | - |");
    case(
        "uv tool run --from s@latest bin",
        "uv tool run | latest | s@latest | bin |",
    );
    case(
        "uv --offline tool run s",
        "uv tool run | floating | s | - |",
    );
    case(
        "uv run --directory /x s.py",
        "uv | local path | - | uv | run --directory /x s.py",
    );
    case(
        "python -m uv tool run s",
        "uv tool run | floating | s | - |",
    );
    case(
        "python -m server",
        "python | local path | - | python | -m server",
    );
    case(
        "pipx run s==1.2 a",
        "pipx run | pinned exact | s==1.2 | - | a",
    );
    case(
        "pipx run --spec s==1.2 bin a",
        "pipx run | pinned exact | s==1.2 | bin | a",
    );
}

#[test]
fn images() {
    case(
        "docker run -i --rm mcp/s",
        "docker run | docker latest/no tag | mcp/s | - |",
    );
    case(
        "docker run -it -e T -v /a:/b --rm mcp/s:1 x",
        "docker run | docker tag | mcp/s:1 | - | x",
    );
    case(
        "docker run -i -eT=v -e=U --name=n s@sha256:ab",
        "docker run | docker digest | s@sha256:ab | - |",
    );
    case(
        "docker run --rm -i --init --pull always s",
        "docker run | docker latest/no tag | s | - |",
    );
    case(
        "docker container run -ie T s:2",
        "docker container run | docker tag | s:2 | - |",
    );
    case(
        "podman run --rm s",
        "podman run | docker latest/no tag | s | - |",
    );
    case(
        "docker exec -i c s",
        "docker | local path | - | docker | exec -i c s",
    );
}

#[test]
fn others() {
    case(
        "deno run -A npm:s@1.2.3 x",
        "deno run | pinned exact | npm:s@1.2.3 | - | x",
    );
    case(
        "deno run server.ts",
        "deno run | local path | server.ts | - |",
    );
    case(
        "go run example.com/s@v1.2.3 x",
        "go run | pinned exact | example.com/s@v1.2.3 | - | x",
    );
    case(
        "dnx S@1.2.3 --yes",
        "dnx | pinned exact | S@1.2.3 | - | --yes",
    );
    case("dnx --version 1.2.3 S", "dnx | pinned exact | S | - |");
    case("node /x/y.js z", "node | local path | - | node | /x/y.js z");
    case("./s.sh", "s.sh | local path | - | ./s.sh |");
}

#[test]
fn wrappers() {
    case("cmd /c npx -y s", "npx | floating | s | - |");
    case(
        "cmd.exe /d /s /c npx.cmd s@1.2.3",
        "npx | pinned exact | s@1.2.3 | - |",
    );
    case("C:\\Windows\\cmd.exe /C npx s", "npx | floating | s | - |");
    case("env A=1 -u B npx s", "npx | floating | s | - |");
    case(
        "/usr/bin/env -S npx·-y·s@1.2.3 x",
        "npx | pinned exact | s@1.2.3 | - | x",
    );
    case(
        "sh -c exec·npx·s@1.2.3·x",
        "npx | pinned exact | s@1.2.3 | - | x",
    );
    case("bash -lc A=1·npx·s", "npx | floating | s | - |");
    case(
        "bash -c cd·/x·&&·npx·s@1.2.3",
        "npx | pinned exact | s@1.2.3 | - |",
    );
    case(
        "bash -c for·p·in·$(which·uvx)·uvx;do·$p·--from·s·b;done",
        "uvx | floating | - | - |",
    );
    case(
        "bash -c exec·$HOME/x.sh·mcp",
        "exec | local path | - | exec | $HOME/x.sh mcp",
    );
    case("bash x.sh -c y", "bash | local path | - | bash | x.sh -c y");
    case("timeout -k 5 npx s", "npx | floating | s | - |");
    case("op run --env-file x -- npx s", "npx | floating | s | - |");
    case(
        "mcpwrap run g -- npx s@1.2.3",
        "npx | pinned exact | s@1.2.3 | - |",
    );
    case("npx·-y·s", "npx | floating | s | - |");
    case("nohup nice -n 5 uvx s", "uvx | floating | s | - |");
    assert_eq!(launch("env A=1 B=2 npx s").env.len(), 2);
    assert_eq!(parse(&[]).registry, Registry::Local);
}

#[test]
fn what_cannot_be_installed_has_a_reason() {
    for (line, obstacle) in [
        ("npx -y s", None),
        ("npx -c node·x", Some("started by a shell script")),
        ("npx -p s@1.2.3 -c bin·--a", None),
        (
            "npx -p s@1.2.3 -c bin·$HOME",
            Some("started by a shell script"),
        ),
        (
            "npx -p s@1.2.3 -c A=1·bin",
            Some("started by a shell script"),
        ),
        (
            "npx -p s@1.2.3 --call=bin·&&·other",
            Some("started by a shell script"),
        ),
        ("npx", Some("no package named")),
        ("bash -c cd·/x;npx·s", Some("started by a shell script")),
        (
            "uvx --with-requirements r.txt s",
            Some("takes packages from local files"),
        ),
        ("uvx --env-file .env s", Some("reads variables from a file")),
        ("docker run --env-file .env s", None),
    ] {
        assert_eq!(launch(line).obstacle, obstacle, "{line}");
    }
    assert!(
        launch("npx owner/repo")
            .obstacle
            .is_some_and(|why| why.contains("git"))
    );
}

#[test]
fn the_url_of_a_bridge() {
    let launch = launch("npx -y mcp-remote@1.2.3 http://10.0.0.1/sse --x");
    assert_eq!(launch.remote(), Some("http://10.0.0.1/sse"));
    assert_eq!(self::launch("npx other http://10.0.0.1").remote(), None);
}
