//! Each MCP client that a registry brings, headless: it writes its own config, `adopt` takes the secret
//! out, the client connects and calls, the server is revoked, granted and rotated, and `adopt --undo`
//! puts the config back.
//!
//! No account is used. A client that calls what its model wants asks a scripted one of this machine,
//! if it can be told to. What a client does only with an account is said and not tested. A connection
//! counts if the audit log has it, not if the client says so.

mod install;
mod model;
mod remote;
mod suite;
mod table;

use std::time::Instant;

pub use self::install::install;
use self::model::Model;
use self::remote::RemoteServer;
use self::suite::{Suite, read, said};
use self::table::TestedClient;
pub use self::table::all;
use crate::shell::{Done, Programs, target, which};

/// Look like tokens, and open nothing.
const OLD: &str = "ghp_Zx9Kq7Lm2Nv4Bt6Rw8Yp1Cd3Fg5Hj0QsaT";
const NEW: &str = "ghp_Bn5Vc8Xz1Ml4Kj7Hg0Fd3Sa6Qw9Er2Ty5U";
/// What the tool is asked to say.
const ECHO: &str = "hello-from-the-client";

/// Which clients are run.
pub enum Wanted<'a> {
    All,
    /// Those that install fastest.
    Quick,
    One(&'a str),
}

pub fn run(wanted: &Wanted<'_>, programs: Programs) -> Done {
    which("npm").ok_or("no `npm`")?;
    let clients: Vec<_> = all()
        .filter(|client| match wanted {
            Wanted::All => true,
            Wanted::Quick => client.is_quick,
            Wanted::One(id) => client.id == *id,
        })
        .collect();
    if let (Wanted::One(id), true) = (wanted, clients.is_empty()) {
        let known: Vec<_> = all().map(|client| client.id).collect();
        return Err(format!(
            "unknown client `{id}`; known: {}",
            known.join(", ")
        ));
    }
    programs.build("--quiet --bin mcpwrap --example fake-server")?;
    let model = Model::start(ECHO)?;
    let mut failed = Vec::new();
    for client in clients {
        println!("── {} ({} {})", client.id, client.package, client.version);
        let start = Instant::now();
        let result = suite(client, &model).and_then(|()| remote_suite(client, &model));
        let seconds = start.elapsed().as_secs();
        let heard = model.said();
        match result {
            Ok(()) => println!("   passed, {seconds} s; not tested: {}", client.untested),
            Err(problem) => {
                println!("   FAILED, {seconds} s: {problem}\n{heard}");
                failed.push(client.id);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("clients: {}", failed.join(", ")))
    }
}

fn suite(client: &TestedClient, model: &Model) -> Done {
    let server = target("debug")?.join("examples/fake-server");
    run_suite(client, model, server.display().to_string(), false)
}

/// The same with a remote server, which the client reaches with a token of its config.
fn remote_suite(client: &TestedClient, model: &Model) -> Done {
    if client.add_remote.is_none() {
        return Ok(());
    }
    let Some(server) = RemoteServer::start()? else {
        println!("   NOT RUN with a remote server: `cargo xtask deps` installs fastmcp");
        return Ok(());
    };
    println!("   with a remote server:");
    run_suite(client, model, server.url.clone(), true)
}

fn run_suite(client: &TestedClient, model: &Model, server: String, is_remote: bool) -> Done {
    let suite = Suite::new(client, &model.url, server, is_remote)?;
    let config = suite.config();
    suite.set_up()?;
    suite.add()?;
    let before = read(&config)?;
    said("its config has the secret", before.contains(OLD))?;

    suite.mcpwrap(&["init", "--store", "file", "--key-file", "vault.key"], "")?;
    suite.adopt(&["--yes", "--no-pin"])?;
    let adopted = read(&config)?;
    said("adopted: no secret in the config", !adopted.contains(OLD))?;

    // What calls connects, too.
    let connect = client.connect.as_ref().or(client.call.as_ref());
    if let Some(connect) = connect {
        if client.connect.is_some() {
            suite.connects(connect, "connected through mcpwrap", 1)?;
        }
        suite.calls()?;
        suite.mcpwrap(&["revoke", "probe", "--reason", "a test"], "")?;
        suite.is_refused(client.call.as_ref().unwrap_or(connect))?;
        suite.mcpwrap(&["grant", "probe", "--yes"], "")?;
        suite.connects(connect, "granted: connected again", 1)?;
    }
    let name = suite.secret()?;
    suite.mcpwrap(&["secret", "rotate", &name, "--from-stdin"], NEW)?;
    if let Some(connect) = connect {
        suite.connects(connect, "rotated: connected", 1)?;
    }

    suite.adopt(&["--undo", "--yes"])?;
    let after = read(&config)?;
    let is_back = after.contains(NEW) && after.contains(suite.server());
    said("undone: the entry is back, with the rotated value", is_back)?;
    if !client.rewrites {
        let same = after.replace(NEW, OLD) == before;
        said("undone: every other byte is back", same)
            .map_err(|problem| format!("{problem}\nbefore:\n{before}\nafter:\n{after}"))?;
    }
    match connect {
        Some(connect) => suite.connects(connect, "undone: connected without mcpwrap", 0),
        None => Ok(()),
    }
}
