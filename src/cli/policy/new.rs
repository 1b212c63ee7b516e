//! `mcpwrap policy new`: writes a commented policy file, from the catalog or from flags.
//!
//! Invariants: no file is replaced, and nothing that looks like a secret is written.

use crate::catalog::{self, KnownServer};
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ops::embedded_secrets;
use crate::ops::new_server::{self, RemoteWishes, ServerSource};
use crate::ops::notes::refused;
use crate::package;
use crate::policy::draft::{self, Draft};
use crate::policy::schema::Delivery;
use crate::policy::template;
use crate::policy::{Cwd, Policy};
use crate::reference::Reference;
use crate::secret::ServerName;
use crate::store::Index;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to create a policy for
    server: ServerName,
    /// Variable and secret to inject, e.g. `API_KEY=secret:brave/api-key`
    #[arg(long, value_name = "VAR=SECRET", value_parser = secret)]
    secret: Vec<(String, Reference)>,
    /// Non-secret variable to set, e.g. `LOG_LEVEL=info`
    #[arg(long, value_name = "VAR=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Variable to inherit from the client
    #[arg(long, value_name = "VAR")]
    pass: Vec<String>,
    /// Description of the server
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Working directory, or `client` [default: a private one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Address of a remote server, in place of a command
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "cwd", "env", "pass", "remote", "from"])]
    url: Option<String>,
    /// Header of a remote server, e.g. `X-Api-Key: {secret.API_KEY}`
    #[arg(long, value_name = "NAME: VALUE", value_parser = new_server::header, conflicts_with_all = ["command", "cwd", "env", "pass"])]
    header: Vec<(String, String)>,
    /// Let mcpwrap log in with OAuth
    #[arg(long, conflicts_with_all = ["command", "cwd", "env", "pass"])]
    oauth: bool,
    /// Use the remote server of the catalog
    #[arg(long, conflicts_with_all = ["command", "cwd", "env", "pass"])]
    remote: bool,
    /// Show what would change, without changing anything
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Use the catalog entry of this server, whatever the policy's name
    #[arg(long, value_name = "ID")]
    from: Option<String>,
    /// Program and arguments [default: from the catalog]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let (server, dry_run) = (args.server.clone(), args.dry_run);
    refuse_secrets(args)?;
    let wishes = RemoteWishes {
        oauth: args.oauth,
        headers: args.header.clone(),
    };
    let draft = source(args)?.fill(&server, wishes, base(args));
    if dry_run {
        let policy = draft.check(&cx.dirs, &server)?;
        draft::must_be_new(&cx.dirs, &server)?;
        print::text(&policy.text);
        return Ok(0);
    }
    let policy = draft.write(&cx.dirs, &server)?;
    print::line(&format!("written: {}", cx.dirs.tilde(&policy.path)));
    print::note(&format!(
        "run `mcpwrap grant {server}` to review and approve it; until then it does not start"
    ));
    for step in missing(cx, &policy)? {
        print::note(&step);
    }
    Ok(0)
}

/// What else is missing until the server starts.
fn missing(cx: &Context, policy: &Policy) -> Result<Vec<String>> {
    let server = &policy.server;
    let config = Config::load(&cx.dirs)?;
    let index = Index::load(&cx.dirs)?;
    let mut steps = Vec::new();
    if let Some(why) = refused(policy, &config) {
        steps.push(format!("until it is pinned, it {why}"));
    }
    let slots = policy.secrets.values().filter(|slot| !slot.optional);
    let names = slots.filter_map(|slot| slot.from.local());
    let missing = names.filter(|name| !index.secrets.contains_key(*name));
    steps
        .extend(missing.map(|name| format!("run `mcpwrap secret set {name}` to store its secret")));
    if policy
        .remote
        .as_ref()
        .is_some_and(|remote| remote.oauth.is_some())
    {
        steps.push(format!("run `mcpwrap login {server}` when it is granted"));
    }
    Ok(steps)
}

/// What the flags say about any server.
fn base(args: &Args) -> Draft {
    let secrets = args.secret.iter();
    let secrets = secrets.map(|(name, from)| (name.clone(), (from.clone(), Delivery::Env)));
    Draft {
        description: args.description.clone(),
        secrets: secrets.collect(),
        cwd: Cwd::new(args.cwd.as_deref()),
        pass: args.pass.clone(),
        set: args.env.iter().cloned().collect(),
        ..Draft::default()
    }
}

/// # Errors
/// `usage` if there is no command, neither given nor in the catalog.
fn source(args: &Args) -> Result<ServerSource> {
    if let Some(remote) = remote_of(args)? {
        return Ok(remote);
    }
    let known = known(&args.server, args.from.as_deref(), &args.command)?;
    Ok(match known {
        Some(file) if args.command.is_empty() => ServerSource::Package(file),
        _ => ServerSource::Command(args.command.clone(), known),
    })
}

/// The remote server that the flags ask for, or the only form that the catalog has.
///
/// # Errors
/// `usage` if the catalog has no such remote server.
fn remote_of(args: &Args) -> Result<Option<ServerSource>> {
    if let Some(url) = &args.url {
        new_server::must_be_address(url)?;
        return Ok(Some(ServerSource::Url(url.clone())));
    }
    let server = &args.server;
    let id = args.from.as_deref().unwrap_or(server.as_str());
    let found = catalog::remote(id).map(|(file, known)| ServerSource::Remote(file, known));
    let is_asked = args.remote || args.oauth || !args.header.is_empty();
    if !is_asked {
        let has_command = catalog::of_id(id).is_some_and(|known| !known.command.is_empty());
        return Ok(found.filter(|_| args.command.is_empty() && !has_command));
    }
    if found.is_some() {
        return Ok(found);
    }
    let names: Vec<_> = catalog::remote_names().collect();
    Err(
        Error::new(Code::Usage, format!("cannot write policy `{server}`"))
            .cause(format!("the catalog has no remote server `{id}`"))
            .hint(format!(
                "run `mcpwrap policy new {server} --url URL`; remote servers that need no URL: {}",
                names.join(", ")
            )),
    )
}

/// The catalog entry of a server, by `--from`, by its package, or by its own name.
///
/// # Errors
/// `usage` if there is no command, neither given nor in the catalog.
fn known(
    server: &ServerName,
    from: Option<&str>,
    command: &[String],
) -> Result<Option<&'static KnownServer>> {
    let id = from.unwrap_or(server.as_str());
    let by_id = catalog::of_id(id);
    if from.is_none() && !command.is_empty() {
        let package = package::parse(command).package;
        return Ok(package.as_deref().and_then(catalog::of_package));
    }
    if by_id.is_some_and(|known| !command.is_empty() || !known.command.is_empty()) {
        return Ok(by_id);
    }
    let what = format!("cannot write policy `{server}`");
    let error = Error::new(Code::Usage, what);
    let names: Vec<_> = catalog::startable().collect();
    let error = match by_id {
        Some(known) => error.cause(format!(
            "no command given, and `{id}` covers several servers ({})",
            known.title
        )),
        None if from.is_some() => error.cause(format!("`{id}` is not in the catalog")),
        None => error.cause(format!(
            "no command given, and `{id}` is not in the catalog"
        )),
    };
    Err(error.hint(format!(
        "run `mcpwrap policy new {server} -- COMMAND`; servers that need no command: {}",
        names.join(", ")
    )))
}

/// # Errors
/// `secret-unusable` if a value belongs in the store. The value is not repeated.
fn refuse_secrets(args: &Args) -> Result<()> {
    let env = args.env.iter();
    let mut env = env.filter(|(name, value)| embedded_secrets::looks_secret(name, value));
    if let Some((name, _)) = env.next() {
        return Err(
            embedded_secrets::refused(&format!("the value of `--env {name}`")).hint(format!(
                "run `mcpwrap secret set NAME` to store it, then use `--secret {name}=secret:NAME`"
            )),
        );
    }
    if let Some(place) = embedded_secrets::arguments(&args.command).first() {
        return Err(embedded_secrets::refused(place).hint(
            "pass it in a variable: run `mcpwrap secret set NAME` to store it, then use \
             `--secret VAR=secret:NAME`",
        ));
    }
    match embedded_secrets::remote(&args.header, args.url.as_ref()) {
        None => Ok(()),
        Some(place) => Err(embedded_secrets::refused(&place).hint(
            "write `{secret.VAR}` in its place, run `mcpwrap secret set NAME` to store it, then use \
             `--secret VAR=secret:NAME`",
        )),
    }
}

fn secret(text: &str) -> Result<(String, Reference)> {
    let (name, reference) = pair(text, "--secret", "VAR=secret:NAME")?;
    Ok((name, Reference::new(&reference)?))
}

fn variable(text: &str) -> Result<(String, String)> {
    pair(text, "--env", "VAR=VALUE")
}

fn pair(text: &str, flag: &str, form: &str) -> Result<(String, String)> {
    let wrong = || {
        Error::new(Code::Usage, format!("invalid value for `{flag}`"))
            .cause(format!("expected `{form}`"))
    };
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    if !template::is_variable_name(name) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.to_owned()))
}
