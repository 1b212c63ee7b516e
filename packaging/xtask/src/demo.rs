//! The main job as a story, in a temporary home: a token in a client's config, adopted, used by a real
//! client, rotated and revoked in a live session, and put back.
//!
//! Fails if a step does not do what its sentence says, or a token is shown after it was stored.

mod picture;
mod server;
mod stage;
mod transcript;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use self::stage::{CONFIG, NEW, OLD, Stage};
use self::transcript::Line;
use crate::clients;
use crate::session::Session;
use crate::shell::{Done, Programs, read, root, write};

pub use self::server::serve;

/// The picture of the story, in the README.
const PICTURE: &str = "docs/demo.svg";

pub fn run(draws: bool, programs: Programs) -> Done {
    let start = Instant::now();
    if programs == Programs::ToBuild {
        println!("This builds mcpwrap, and then shows its main job: a few minutes the first time.");
    }
    programs.build("--bin mcpwrap")?;
    let client = real_client();
    let mut stage = Stage::new()?;
    adopt(&mut stage)?;
    call(&mut stage, client.as_ref())?;
    live(&mut stage)?;
    history(&mut stage)?;
    undo(&mut stage)?;
    if !stage.is_quiet() {
        return Err("a program of the demo still runs".to_owned());
    }
    let seconds = start.elapsed().as_secs();
    println!("\nThe demo took {seconds} s. Its home is removed, and yours was not touched.");
    println!("On your own machine:\n");
    for (command, about) in NEXT {
        println!("  {command:<51} {about}");
    }
    let lines = &stage.transcript.lines;
    if draws {
        write(&root().join(PICTURE), picture::draw(lines).as_bytes())
    } else {
        is_pictured(lines)
    }
}

/// What somebody does who wants the same.
const NEXT: &[(&str, &str)] = &[
    (
        "cargo install --locked --path . --root ~/.local",
        "a static binary",
    ),
    ("mcpwrap init", "the OS keychain, or a vault file"),
    ("mcpwrap adopt --dry-run", "what would change, masked"),
    ("mcpwrap adopt", "asks first; `--undo` puts all back"),
    ("mcpwrap check", "what else is unsafe"),
];

/// The commands in the README's picture are those that were run here.
fn is_pictured(lines: &[Line]) -> Done {
    let ran = lines.iter().filter_map(|line| match line {
        Line::Command(text) => Some(text.clone()),
        Line::Sentence(_) | Line::Output(_) => None,
    });
    let svg = read(&root().join(PICTURE))?;
    if ran.eq(picture::commands(&String::from_utf8_lossy(&svg))) {
        return Ok(());
    }
    Err(format!(
        "{PICTURE} shows other commands: run `cargo xtask demo --picture`"
    ))
}

/// A client that somebody may use, if npm is here to install it.
fn real_client() -> Option<PathBuf> {
    let client = clients::all().find(|one| one.id == "mcporter")?;
    match clients::install(client) {
        Ok(program) => {
            let (package, version) = (client.package, client.version);
            println!("The client of this story is {package} {version} of npm, in `.cache`.");
            Some(program)
        }
        Err(reason) => {
            println!("The client of this story is the demo itself: {reason}.");
            None
        }
    }
}

fn adopt(stage: &mut Stage) -> Done {
    stage.say("An MCP client has its servers in a file, and their tokens with them, in plaintext:");
    stage.cat(CONFIG, 10)?;
    stage.is_open = false;
    stage.say(
        "mcpwrap keeps secrets in the OS keychain. Here it uses its encrypted file, the choice for \
         machines without one:",
    );
    stage.mcpwrap("init --store file --key-file vault.key", "", 2)?;
    stage.say(
        "`adopt` moves the token into the store, writes a policy (what this server may have and run) and \
         grants it. Without `--yes` it asks:",
    );
    stage.mcpwrap("adopt --yes --no-test", "", 11)?;
    stage.say("The client's file now, with no token in it:");
    let text = stage.cat(CONFIG, 10)?;
    text.contains("\"run\"")
        .then_some(())
        .ok_or_else(|| "the entry was not adopted".to_owned())
}

/// A careless tool shows its environment, and the client sees a mask.
fn call(stage: &mut Stage, client: Option<&PathBuf>) -> Done {
    stage.say(
        "The client starts the server as before, and calls a tool that shows its environment. The server has \
         the token; what comes out is masked:",
    );
    stage
        .transcript
        .command("mcporter call tickets.environment", 4);
    let text = if let Some(program) = client {
        let mut command = stage.home.command(program);
        command.args(["call", "tickets.environment"]);
        stage.ends(command, "")?
    } else {
        let mut session = stage.session()?;
        let said = tool(&mut session, "environment")?;
        session.end()?;
        stage.show(&said)?;
        said
    };
    text.contains("[secret ")
        .then_some(())
        .ok_or_else(|| format!("the answer has no masked secret: {text}"))
}

/// Rotation and revocation, while an agent has a session open.
fn live(stage: &mut Stage) -> Done {
    let mut agent = stage.session()?;
    stage.say(
        "An agent has a session open. The token is replaced, and the agent notices nothing: the same \
         session, and a tool that sees another fingerprint:",
    );
    let before = tool(&mut agent, "fingerprint")?;
    stage
        .transcript
        .command("# agent: call tickets.fingerprint", 3);
    stage.show(&before)?;
    let name = secret(stage)?;
    stage.mcpwrap(&format!("secret rotate {name} --from-stdin"), NEW, 3)?;
    let after = tool(&mut agent, "fingerprint")?;
    stage
        .transcript
        .command("# agent: call tickets.fingerprint", 3);
    stage.show(&after)?;
    if after == before {
        return Err("the tool sees the old token".to_owned());
    }
    stage.say("Who has this token now?");
    stage.mcpwrap(&format!("log who-has {name}"), "", 4)?;

    stage.say(
        "The agent starts a call that takes an hour, and the server is revoked in the middle of it. Its \
         processes are dead, and the agent's session is still there:",
    );
    let params = json!({"name": "export", "arguments": {}});
    let call = agent.begin("tools/call", &params)?;
    stage.transcript.command("# agent: call tickets.export", 2);
    stage.mcpwrap("revoke tickets --reason 'it exports too much'", "", 6)?;
    let answer = agent.answer(call)?;
    stage
        .transcript
        .command("# agent: what the call is answered", 4);
    stage.show(&refusal_in(&answer)?)?;
    let answer = agent.request("tools/call", &json!({"name": "fingerprint"}))?;
    stage
        .transcript
        .command("# agent: call tickets.fingerprint", 4);
    stage.show(&refusal_in(&answer)?)?;
    agent.request("ping", &json!({}))?;
    agent.end().map(drop)
}

fn history(stage: &mut Stage) -> Done {
    stage.say("All of it is in a log that shows if somebody changes it:");
    stage.mcpwrap("log", "", 8)?;
    let head = stage.quietly("log head")?;
    let shown = "log verify --head \"$(mcpwrap log head)\"";
    stage.transcript.command(&format!("mcpwrap {shown}"), 4);
    stage.runs(&format!("log verify --head {head}"), "")?;
    Ok(())
}

fn undo(stage: &mut Stage) -> Done {
    stage.say("And back: the file as it was, byte for byte, with the token that is valid today:");
    stage.is_open = true;
    stage.mcpwrap("adopt --undo --yes", "", 3)?;
    let text = stage.cat(CONFIG, 7)?;
    let is_back = text.contains(NEW) && !text.contains(OLD) && !text.contains("\"run\"");
    is_back
        .then_some(())
        .ok_or_else(|| "the entry is not back".to_owned())
}

/// The text of a tool's answer.
fn tool(session: &mut Session, name: &str) -> Done<String> {
    let params = json!({"name": name, "arguments": {}});
    let answer = session.request("tools/call", &params)?;
    let text = answer["result"]["content"][0]["text"].as_str();
    text.map(str::to_owned).ok_or(answer.to_string())
}

/// The refusal: an error, or the text of the tool that stands in for a server that is not there.
fn refusal_in(answer: &Value) -> Done<String> {
    let result = &answer["result"];
    let text = match result["isError"].as_bool() {
        Some(true) => &result["content"][0]["text"],
        _ => &answer["error"]["message"],
    };
    let text = text.as_str().filter(|text| text.contains("revoked"));
    text.map(str::to_owned)
        .ok_or_else(|| format!("not refused: {answer}"))
}

/// The name that `adopt` gave the token.
fn secret(stage: &mut Stage) -> Done<String> {
    let text = stage.quietly("secret list --json")?;
    let list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let name = list[0]["name"].as_str().ok_or("no secret was adopted")?;
    Ok(name.to_owned())
}
