//! `mcpwrap policy new`: writes a commented policy file, from the catalog or from flags.
//!
//! Invariants: no file is replaced, and nothing that looks like a secret is written.

use crate::catalog::{self, KnownServer};
use crate::cli::{Context, print};
use crate::error::{Code, Error, Result};
use crate::ops::embedded_secrets;
use crate::package;
use crate::policy::Cwd;
use crate::policy::draft::{self, Draft};
use crate::policy::schema::Delivery;
use crate::policy::template;
use crate::secret::{SecretRef, ServerName};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to create a policy for
    server: ServerName,
    /// Variable and secret to inject, e.g. `API_KEY=secret:brave/api-key`
    #[arg(long, value_name = "VAR=SECRET", value_parser = secret)]
    secret: Vec<(String, SecretRef)>,
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

pub fn run(args: Args, cx: &Context) -> Result<u8> {
    let server = args.server;
    refuse_secrets(&args.env, &args.command)?;
    let known = known(&server, args.from.as_deref(), &args.command)?;
    let mut draft = Draft {
        description: args.description,
        command: args.command,
        cwd: Cwd::new(args.cwd.as_deref()),
        pass: args.pass,
        set: args.env.into_iter().collect(),
        secrets: args
            .secret
            .into_iter()
            .map(|(name, from)| (name, (from, Delivery::Env)))
            .collect(),
        ..Draft::default()
    };
    if let Some(known) = known {
        if draft.command.is_empty() {
            draft.command.clone_from(&known.command);
        }
        draft.description.get_or_insert_with(|| known.title.clone());
        if draft.secrets.is_empty() {
            known.add_secrets(&mut draft);
        }
        known.describe(&mut draft);
    }
    draft.unfenced = package::unfenced(&draft.command);
    if args.dry_run {
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
    Ok(0)
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
fn refuse_secrets(env: &[(String, String)], command: &[String]) -> Result<()> {
    let refused = |what: String| {
        Error::new(Code::SecretUnusable, format!("cannot accept {what}"))
            .cause("looks like a secret, and a policy file is plaintext")
    };
    if let Some((name, _)) = env
        .iter()
        .find(|(name, value)| embedded_secrets::looks_secret(name, value))
    {
        return Err(
            refused(format!("the value of `--env {name}`")).hint(format!(
                "run `mcpwrap secret set NAME` to store it, then use `--secret {name}=secret:NAME`"
            )),
        );
    }
    match embedded_secrets::arguments(command).first() {
        Some(place) => Err(refused(place.clone()).hint(
            "pass it in a variable: run `mcpwrap secret set NAME` to store it, then use \
             `--secret VAR=secret:NAME`",
        )),
        None => Ok(()),
    }
}

fn secret(text: &str) -> Result<(String, SecretRef)> {
    let (name, reference) = pair(text, "--secret", "VAR=secret:NAME")?;
    Ok((name, SecretRef::new(&reference)?))
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
