//! The command line: arguments, the verbs, and nothing of what they do.

pub mod adopt;
pub mod ask;
pub mod check;
pub mod completions;
pub mod drill;
mod diagnostics;
pub mod grant;
pub mod init;
pub mod lock;
pub mod log;
pub mod man;
pub mod pin;
pub mod policy;
pub mod print;
pub mod ps;
pub mod renew;
pub mod revoke;
pub mod run;
pub mod secret;
pub mod status;
pub mod unlock;
mod usage;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::dirs::Dirs;
use crate::error::{Code, EXIT_ERROR, Result};
use crate::ops;

/// A credential-injecting process launcher for MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "mcpwrap",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: CliCommand,
}

/// One variant a verb; the arguments and the work are in the verb's own file.
#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Take the secrets out of the clients' files and start their servers through mcpwrap
    Adopt(adopt::Args),
    /// Look for what is not safe, on this machine or in a repository: the ten checks
    Check(check::Args),
    /// Start a server with its secrets, and relay its stdio
    Run(run::Args),
    /// Store, list, rotate and remove secrets
    Secret(secret::Args),
    /// Write, look at and check policies
    Policy(policy::Args),
    /// Approve of policies as they stand
    Grant(grant::Args),
    /// Withdraw the approval of policies: their servers do not start any more
    Revoke(revoke::Args),
    /// Show what runs at this moment
    Ps(ps::Args),
    /// Put a new server behind the live sessions of a policy
    Renew(renew::Args),
    /// Prove on this machine that revoking ends a server
    Drill(drill::Args),
    /// Set up mcpwrap: choose the store, make its keys
    Init(init::Args),
    /// Show where everything is and whether it works
    Status(status::Args),
    /// Enter the vault file's passphrase, once after each start of the machine
    Unlock(unlock::Args),
    /// Forget the vault file's key
    Lock(lock::Args),
    /// Install what a policy's command starts, and start only that from then on
    Pin(pin::Args),
    /// Print the completion script for a shell
    Completions(completions::Args),
    /// Show what was launched, injected, refused, called and granted
    Log(Box<log::Args>),
    /// Write the manual pages to a directory
    Man(man::Args),
}

/// What every verb that touches files is given.
#[derive(Debug)]
pub struct Context {
    pub dirs: Dirs,
}

impl Context {
    /// Finds the directories and starts the diagnostics.
    ///
    /// # Errors
    /// `home-unusable`, as [`Dirs::from_env`].
    pub fn new() -> Result<Self> {
        let dirs = Dirs::from_env()?;
        diagnostics::start(&dirs);
        Ok(Self { dirs })
    }
}

/// Parses the arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    crate::sys::signal::survive_file_limit();
    let code = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.verb).unwrap_or_else(|error| {
            print::error(&error);
            EXIT_ERROR
        }),
        Err(error) if is_help(&error) => {
            // Coloured if it goes to a terminal.
            drop(error.print());
            if error.use_stderr() { EXIT_ERROR } else { 0 }
        }
        Err(error) => {
            let error = usage::explain(&error);
            print::error(&error);
            // `run` has the exit codes of a launcher, also for what is wrong with its own arguments.
            let is_run = std::env::args_os().nth(1).is_some_and(|verb| verb == "run");
            if is_run { error.run_exit() } else { EXIT_ERROR }
        }
    };
    ExitCode::from(code)
}

/// Help and version, asked for or not.
fn is_help(error: &clap::Error) -> bool {
    !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn dispatch(verb: CliCommand) -> Result<u8> {
    match verb {
        CliCommand::Adopt(args) => changing(|cx| adopt::run(&args, cx)),
        CliCommand::Check(args) => check::run(&args, &Context::new()?),
        CliCommand::Run(args) => Ok(launch(args)),
        CliCommand::Secret(args) => changing(|cx| secret::run(args, cx)),
        CliCommand::Policy(args) => policy::run(args),
        CliCommand::Grant(args) => changing(|cx| grant::run(&args, cx)),
        CliCommand::Revoke(args) => changing(|cx| Ok(revoke::run(&args, cx))),
        CliCommand::Ps(args) => Ok(ps::run(&args, &Context::new()?)),
        CliCommand::Renew(args) => renew::run(&args, &Context::new()?),
        CliCommand::Drill(args) => drill::run(&args, &Context::new()?),
        CliCommand::Init(args) => init::run(&args, &Context::new()?),
        CliCommand::Status(args) => status::run(&args, &Context::new()?),
        CliCommand::Unlock(args) => unlock::run(&args, &Context::new()?),
        CliCommand::Lock(args) => lock::run(&args, &Context::new()?),
        CliCommand::Pin(args) => changing(|cx| pin::run(&args, cx)),
        CliCommand::Completions(args) => Ok(completions::run(&args)),
        CliCommand::Log(args) => log::run(&args, &Context::new()?),
        CliCommand::Man(args) => man::run(&args),
    }
}

/// A command that writes audit records: afterwards the store keeps the head of the log. A store that
/// is locked or gone is no news here: the command has said so if it matters.
fn changing(verb: impl FnOnce(&Context) -> Result<u8>) -> Result<u8> {
    let cx = Context::new()?;
    let code = verb(&cx)?;
    match ops::head::keep(&cx.dirs) {
        Err(error) if error.code == Code::AuditBroken => print::error(&error),
        Err(_) | Ok(()) => {}
    }
    Ok(code)
}

/// `run` answers with its own exit codes, whatever goes wrong.
fn launch(args: run::Args) -> u8 {
    let code = Context::new().and_then(|cx| run::run(args, &cx));
    code.unwrap_or_else(|error| {
        print::error(&error);
        error.run_exit()
    })
}
