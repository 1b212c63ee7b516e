//! The real clients: how each runs a plan, and what it reports.

use serde_json::{Value, json};

use super::cache;
use super::servers::Server;
use crate::harness::Test;

/// A client, named as in its driver.
#[derive(Clone, Copy)]
pub(crate) enum Client {
    TypeScript(&'static str),
    Python(&'static str),
    Rust(&'static str),
    Inspector,
}

impl Client {
    /// What must be installed.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::TypeScript(_) | Self::Inspector => "npm",
            Self::Python(_) => "pypi",
            Self::Rust(_) => "rmcp",
        }
    }

    /// Runs the server's plan; `set` are the variables of the entry in the client's config.
    pub(crate) fn observe(
        self,
        test: &Test,
        server: &Server,
        command: &[String],
        set: &[(String, String)],
    ) -> Value {
        let mut plan = json!({"command": command[0], "args": command[1..], "steps": server.steps});
        if let Some(roots) = &server.roots {
            plan["roots"] = roots.clone();
        }
        if !set.is_empty() {
            plan["env"] = set.iter().map(|(n, v)| (n.clone(), json!(v))).collect();
        }
        let mut seen = match self {
            Self::Inspector => inspect(test, server, &plan),
            _ => self.drive(test, &plan),
        };
        server.level(&mut seen);
        seen
    }

    /// Runs a plan, as the drivers describe it.
    pub(crate) fn drive(self, test: &Test, plan: &Value) -> Value {
        let driver =
            |name: &str| format!("{}/tests/real/clients/{name}", env!("CARGO_MANIFEST_DIR"));
        match self {
            Self::TypeScript(kind) => {
                let modules = cache("npm/node_modules").display().to_string();
                run(
                    test,
                    &["node", &driver("ts.mjs"), &modules, kind, &plan.to_string()],
                )
            }
            Self::Python(kind) => {
                let python = cache(&format!("pypi/mcp-{}/bin/python", &kind[3..4]));
                let python = python.display().to_string();
                run(test, &[&python, &driver("py.py"), kind, &plan.to_string()])
            }
            Self::Rust(kind) => {
                let path = env!("CARGO_BIN_EXE_mcpwrap").rsplit('/').nth(2).unwrap();
                let program = cache(&format!("rmcp/{path}/debug/rmcp-client"));
                run(
                    test,
                    &[&program.display().to_string(), kind, &plan.to_string()],
                )
            }
            Self::Inspector => panic!("it has no driver"),
        }
    }
}

/// Runs a driver; its stdout is what the client saw.
fn run(test: &Test, command: &[&str]) -> Value {
    let mut process = test.command(command[0]);
    let ended = test.start(process.args(&command[1..])).finish();
    assert_eq!(ended.code, 0, "{ended}");
    ended.json()
}

/// The Inspector runs one step per start, from a client config file.
fn inspect(test: &Test, server: &Server, plan: &Value) -> Value {
    let package = "npm/node_modules/@modelcontextprotocol/inspector";
    let program = cache(&format!("{package}/clients/launcher/build/index.js"));
    let config = test.home.join("servers.json");
    let entry = json!({"command": plan["command"], "args": plan["args"],
        "env": plan.get("env").cloned().unwrap_or(json!({}))});
    std::fs::write(&config, json!({"mcpServers": {"one": entry}}).to_string()).unwrap();
    let mut steps = Vec::new();
    for step in server.inspector_steps() {
        let mut command = test.command("node");
        command
            .arg(&program)
            .args(["--cli", "--config"])
            .arg(&config);
        command
            .args(["--server", "one", "--method"])
            .args(step.iter().copied());
        let ended = test.start(&mut command).finish();
        let result: Value = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
        let stderr = ended.stderr;
        steps.push(json!({"step": step, "code": ended.code, "result": result, "stderr": stderr}));
    }
    json!({"steps": steps})
}
