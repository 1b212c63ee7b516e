//! The main job from start to end, with a dummy token, in a temporary home: store it, write and
//! grant a policy, start a real server, see the token masked, read the audit log, revoke.
//!
//! Fails if the token was shown anywhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::deps;
use crate::session::{Home, Session};
use crate::shell::{Done, cache, cargo, output, step, target, which};

/// Looks like a token, and opens nothing.
const TOKEN: &str = "demo_9fK2mQx7Lw4vRt8ZbN3cYp6H";

/// A server, and the tool call whose answer would show the token.
struct Scene {
    about: &'static str,
    command: Vec<String>,
    variable: &'static str,
    calls: Vec<(&'static str, Value)>,
}

pub fn run() -> Done {
    let build = "build --quiet --locked --bin mcpwrap --example fake-server";
    step("build", &mut cargo(build))?;
    let home = Home::new()?;
    let demo = Demo {
        program: target("debug")?.join("mcpwrap"),
        home,
    };
    let scene = scene(&demo.home.0)?;
    println!("\nThe server of this demo is {}.", scene.about);
    demo.set_up(&scene)?;
    demo.session(&scene)?;
    demo.show(&["log"], b"")?;
    // The temporary home may be on a machine without a journal: the head is kept by us.
    let head = output(&mut demo.home.mcpwrap(&demo.program, &["log", "head"]));
    let head = head.ok_or("`mcpwrap log head` did not work")?;
    demo.show(&["log", "verify", "--head", head.trim()], b"")?;
    demo.show(&["revoke", "demo", "--reason", "end of the demo"], b"")?;
    demo.refusal()?;
    demo.show(&["log", "--event", "refuse"], b"")?;
    println!("\nThe demo is over: the token was never shown, and the temporary home is removed.");
    Ok(())
}

/// A real server from npm, or else from PyPI, or else the one of the tests.
fn scene(home: &Path) -> Done<Scene> {
    if let (Ok(()), Some(node)) = (deps::npm(), which("node")) {
        let path = "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        return Ok(Scene {
            about: "`@modelcontextprotocol/server-everything` of npm, a real one, started by node",
            command: vec![text(&node), text(&cache().join(path))],
            variable: "DEMO_TOKEN",
            calls: vec![("get-env", json!({}))],
        });
    }
    if let (Ok(()), Some(git)) = (deps::pypi(), which("git")) {
        let repository = home.join("repository");
        let made = output(Command::new(git).args(["init", "--quiet"]).arg(&repository));
        made.ok_or("`git init` did not work")?;
        let repository = text(&repository);
        return Ok(Scene {
            about: "`mcp-server-git` of PyPI, a real one, which writes the token into a history",
            command: vec![text(&cache().join("pypi/mcp-2/bin/mcp-server-git"))],
            variable: "GIT_AUTHOR_NAME",
            calls: vec![
                (
                    "git_commit",
                    json!({"repo_path": repository, "message": "first"}),
                ),
                ("git_log", json!({"repo_path": repository})),
            ],
        });
    }
    Ok(Scene {
        about: "the one of the tests, because neither node with npm nor python3 is here",
        command: vec![text(&target("debug")?.join("examples/fake-server"))],
        variable: "DEMO_TOKEN",
        calls: vec![("env", json!({}))],
    })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

struct Demo {
    program: PathBuf,
    home: Home,
}

impl Demo {
    fn set_up(&self, scene: &Scene) -> Done {
        self.show(&["init", "--store", "file", "--key-file", "vault.key"], b"")?;
        self.show(
            &["secret", "set", "demo/token", "--from-stdin"],
            TOKEN.as_bytes(),
        )?;
        let slot = format!("{}=secret:demo/token", scene.variable);
        let mut policy = vec!["policy", "new", "demo", "--secret", &slot, "--"];
        policy.extend(scene.command.iter().map(String::as_str));
        self.show(&policy, b"")?;
        self.show(&["policy", "show", "demo"], b"")?;
        self.show(&["grant", "demo", "--yes"], b"")
    }

    /// Starts the server through mcpwrap and calls the tool that shows its environment.
    fn session(&self, scene: &Scene) -> Done {
        println!("\n$ mcpwrap run demo");
        let mut session = Session::start(&mut self.home.mcpwrap(&self.program, &["run", "demo"]))?;
        let hello = session.initialize()?;
        println!("  the server says it is {}", hello["result"]["serverInfo"]);
        let mut masked = false;
        for (tool, arguments) in &scene.calls {
            let params = json!({"name": tool, "arguments": arguments});
            let answer = session.request("tools/call", &params)?;
            let said = answer["result"]["content"][0]["text"]
                .as_str()
                .ok_or(answer.to_string())?;
            println!("  the tool `{tool}` answers:");
            for line in self.checked(said)?.lines() {
                println!("    {line}");
            }
            masked |= said.contains("[secret ");
        }
        let (status, stderr) = session.end()?;
        println!("  the session ends: {status}; on stderr there was:");
        self.indent(&stderr)?;
        if masked {
            Ok(())
        } else {
            Err("the answer has no masked secret".to_owned())
        }
    }

    fn refusal(&self) -> Done {
        println!("\n$ mcpwrap run demo");
        let mut session = Session::start(&mut self.home.mcpwrap(&self.program, &["run", "demo"]))?;
        let answer = session.initialize()?;
        let error = answer["error"]["message"]
            .as_str()
            .ok_or("started after revoke")?;
        println!("  the client is answered: {}", self.checked(error)?);
        let (status, stderr) = session.end()?;
        println!("  the session ends: {status}; on stderr there was:");
        self.indent(&stderr)
    }

    /// Runs a verb, and shows the command with what it says.
    fn show(&self, args: &[&str], input: &[u8]) -> Done {
        let pipe = if input.is_empty() {
            ""
        } else {
            "printf %s \"$TOKEN\" | "
        };
        let quote = |arg: &&str| {
            if arg.contains(' ') {
                format!("'{arg}'")
            } else {
                (*arg).to_owned()
            }
        };
        let words: Vec<_> = args.iter().map(quote).collect();
        println!("\n$ {pipe}mcpwrap {}", words.join(" "));
        let mut command = self.home.mcpwrap(&self.program, args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).map_err(|error| error.to_string())?;
        }
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        for bytes in [&output.stdout, &output.stderr] {
            self.indent(&String::from_utf8_lossy(bytes))?;
        }
        let failed = || format!("`mcpwrap {}` ended with {}", args.join(" "), output.status);
        output.status.success().then_some(()).ok_or_else(failed)
    }

    fn indent(&self, text: &str) -> Done {
        for line in self.checked(text)?.lines() {
            println!("    {line}");
        }
        Ok(())
    }

    /// The text, if the token is not in it.
    fn checked<'a>(&self, text: &'a str) -> Done<&'a str> {
        let _ = self;
        if text.contains(TOKEN) {
            Err("the token was shown".to_owned())
        } else {
            Ok(text)
        }
    }
}
