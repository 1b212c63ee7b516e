//! What the judge starts: a client whose server is `mcpwrap run`, in a home of its own. It gets a
//! policy for the judge's address, logs in when it is told to, and uses all that the server offers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, filled};
use crate::session::Home;
use crate::shell::{Done, target};

/// Less than the judge's own limit.
const LIMIT: Duration = Duration::from_secs(50);
/// How often the user is asked to log in.
const LOGINS: usize = 3;
/// How long a session needs at most to notice that its user has logged in.
const WAKES: Duration = Duration::from_secs(3);
/// After how long it has started a server again that did not start.
const RETRIES: Duration = Duration::from_secs(12);
/// The document that the judge knows as a client's.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

/// The user's browser: it follows the address, and all that it is sent to, without a question.
const BROWSER: &str =
    "#!/bin/sh\ncurl --silent --location --max-time 20 --output /dev/null \"$1\" &\n";

/// Acts as the client of one scenario.
pub fn drive(url: &str) -> Done {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let driver = Driver {
        home: Home::new()?,
        program: target("debug")?.join("mcpwrap"),
        scenario: variable("MCP_CONFORMANCE_SCENARIO"),
        context: serde_json::from_str(&variable("MCP_CONFORMANCE_CONTEXT")).unwrap_or_default(),
        deadline: Instant::now() + LIMIT,
    };
    driver.set_up(url)?;
    let version = variable("MCP_CONFORMANCE_PROTOCOL_VERSION");
    let mut command = driver.mcpwrap(&["run", "judged"]);
    let client = Client::start(&mut command, &version, driver.deadline)?;
    let mut session = Driven {
        driver: &driver,
        client,
        logins: 0,
    };
    session.use_all()?;
    session.client.end()
}

struct Driver {
    home: Home,
    program: PathBuf,
    scenario: String,
    /// What the judge tells a client beforehand.
    context: Value,
    deadline: Instant,
}

impl Driver {
    /// A home with a store and a granted policy.
    fn set_up(&self, url: &str) -> Done {
        self.run(&["init", "--store", "file", "--key-file", "vault.key"], "")?;
        let mut policy = format!("version = 1\nurl = \"{url}\"\n");
        if self.scenario.starts_with("auth/") {
            policy += &self.oauth()?;
        }
        let dir = self.home.0.join("mcpwrap/policies");
        let path = dir.join("judged.toml");
        let written = fs::create_dir_all(&dir)
            .and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)))
            .and_then(|()| fs::write(&path, &policy))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        let browser = self.browser();
        fs::write(&browser, BROWSER)
            .and_then(|()| fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)))
            .map_err(|error| format!("{}: {error}", browser.display()))?;
        self.run(&["grant", "judged", "--yes"], "")
    }

    /// The tables of a client that may be registered beforehand.
    fn oauth(&self) -> Done<String> {
        let mut oauth = "[oauth]\n".to_owned();
        let mut secrets = String::new();
        let known = |name: &str| self.context[name].as_str();
        if self.scenario.starts_with("auth/client-credentials") {
            oauth += "grant = \"client-credentials\"\n";
        }
        if self.scenario == "auth/basic-cimd" {
            oauth.extend(["client_metadata_url = \"", DOCUMENT, "\"\n"]);
        }
        for name in ["client_id", "issuer"] {
            if let Some(value) = known(name) {
                oauth.extend([name, " = \"", value, "\"\n"]);
            }
        }
        for (field, name) in [
            ("client_secret", "client_secret"),
            ("private_key", "private_key_pem"),
        ] {
            if let Some(value) = known(name) {
                let slot = field.to_uppercase();
                oauth.extend([field, " = \"{secret.", &slot, "}\"\n"]);
                let from = ["]\nfrom = \"secret:judged/", field, "\"\n"];
                secrets.extend(["[secrets.", &slot].into_iter().chain(from));
                let place = format!("judged/{field}");
                self.run(&["secret", "set", &place, "--from-stdin"], value)?;
            }
        }
        Ok(oauth + &secrets)
    }

    fn browser(&self) -> PathBuf {
        self.home.0.join("browser")
    }

    fn mcpwrap(&self, args: &[&str]) -> Command {
        self.started(&self.program, args)
    }

    /// A program in the user's environment.
    fn started(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = self.home.mcpwrap(program, args);
        command.env("BROWSER", self.browser());
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Done {
        let mut command = self.mcpwrap(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        finish(&mut command, input, self.deadline).map_err(|what| format!("{args:?}: {what}"))
    }

    /// The user is asked on the terminal, which `script` is.
    fn log_in(&self) -> Done {
        eprintln!("driver: mcpwrap login");
        let login = format!("'{}' login judged", self.program.display());
        let mut command = self.started(Path::new("script"), &["-qefc", &login, "/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        finish(&mut command, "y\n", self.deadline).map_err(|what| format!("login: {what}"))
    }
}

/// Runs a command to its end, at the latest at this time.
fn finish(command: &mut Command, input: &str, deadline: Instant) -> Done {
    use std::io::Write as _;
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        drop(stdin.write_all(input.as_bytes()));
    }
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return if status.success() {
                Ok(())
            } else {
                Err(status.to_string())
            };
        }
        if Instant::now() > deadline {
            drop(child.kill());
            drop(child.wait());
            return Err("not ended in time".to_owned());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A client in its session.
struct Driven<'a> {
    driver: &'a Driver,
    client: Client,
    logins: usize,
}

impl Driven<'_> {
    /// Everything that a scenario may want to see.
    fn use_all(&mut self) -> Done {
        let hello = self.asked(Client::begin)?;
        let offered = hello["result"]["capabilities"].clone();
        let listed = self.request("tools/list", &json!({}))?;
        let tools = listed["result"]["tools"].as_array().cloned();
        for (name, arguments) in self.calls(&tools.unwrap_or_default()) {
            let call = json!({"name": name, "arguments": arguments});
            self.request("tools/call", &call)?;
        }
        if offered.get("resources").is_some() {
            let listed = self.request("resources/list", &json!({}))?;
            let first = &listed["result"]["resources"][0]["uri"];
            if first.is_string() {
                self.request("resources/read", &json!({"uri": first}))?;
            }
        }
        if offered.get("prompts").is_some() {
            let listed = self.request("prompts/list", &json!({}))?;
            let first = &listed["result"]["prompts"][0]["name"];
            if first.is_string() {
                self.request("prompts/get", &json!({"name": first}))?;
            }
        }
        Ok(())
    }

    /// The calls that the judge asks for, or one of each tool.
    fn calls(&self, tools: &[Value]) -> Vec<(Value, Value)> {
        if let Some(wanted) = self.driver.context["toolCalls"].as_array() {
            let call = |call: &Value| (call["name"].clone(), call["arguments"].clone());
            return wanted.iter().map(call).collect();
        }
        let call = |tool: &Value| {
            let mut arguments = filled(&tool["inputSchema"]);
            if tool["name"] == "json_schema_echo" {
                // It wants to see what the client was told about the other tool.
                arguments["schema"] = tools
                    .first()
                    .map_or(Value::Null, |t| t["inputSchema"].clone());
            }
            (tool["name"].clone(), arguments)
        };
        tools.iter().map(call).collect()
    }

    fn request(&mut self, method: &str, params: &Value) -> Done<Value> {
        self.asked(|client| client.request(method, params.clone()))
    }

    /// Asks, and logs in as often as that is the answer.
    fn asked(&mut self, mut ask: impl FnMut(&mut Client) -> Done<Value>) -> Done<Value> {
        let mut login = Instant::now();
        loop {
            let answer = ask(&mut self.client)?;
            let Some(about) = answer["error"]["data"].get("mcpwrap") else {
                return Ok(answer);
            };
            let error = answer["error"].to_string();
            let is_failed_renewal = about["code"] == "renew-failed";
            let patience = if is_failed_renewal { RETRIES } else { WAKES };
            if self.logins > 0 && login.elapsed() < patience {
                std::thread::park_timeout(Duration::from_millis(50));
                continue;
            }
            // As the user reads it.
            if !error.contains("mcpwrap login judged") || self.logins == LOGINS {
                return Err(error);
            }
            self.logins += 1;
            self.driver.log_in()?;
            login = Instant::now();
        }
    }
}
