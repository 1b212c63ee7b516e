//! The command line: arguments, questions and output. The work is in the modules above.

pub mod add;
pub mod adopt;
mod adopt_turn;
pub mod ask;
mod browser_login;
pub mod check;
pub mod completions;
pub mod config;
pub mod drill;
mod diagnostics;
pub mod grant;
mod help;
mod hidden_input;
pub mod init;
mod installing;
mod interrupts;
pub mod lock;
pub mod log;
pub mod login;
pub mod logout;
pub mod man;
mod overview;
mod own_copy;
mod pasted;
pub mod pin;
mod pin_report;
pub mod policy;
mod policy_removal;
pub mod print;
mod print_ended;
mod print_revoked;
mod print_unused;
mod print_weak;
pub mod ps;
mod reloads;
pub mod remove;
pub mod renew;
pub mod revoke;
pub mod run;
pub mod secret;
pub mod status;
pub mod store;
pub mod test;
mod typed_secret;
pub mod uninstall;
pub mod unlock;
mod usage;
mod verifying;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::dirs::Dirs;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Result};
use crate::launch::secret_files;
use crate::ops;

/// Run MCP servers without keeping API keys in config files
#[derive(Debug, Parser)]
#[command(
    name = "mcpwrap",
    version,
    max_term_width = 100,
    subcommand_required = true,
    help_template = help::TEMPLATE
)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

/// One variant per command; each has its own file.
#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Choose the secret store and create its keys
    Init(init::Args),
    /// Move secrets out of client configs
    Adopt(adopt::Args),
    /// Audit MCP configuration on this machine or in a repo
    Check(check::Args),
    /// Show paths and whether the store works
    Status(status::Args),
    /// Approve settings that all servers use
    Config(config::Args),
    /// Store, list, rotate and remove secrets
    Secret(secret::Args),
    /// Add, check and remove stores of other programs
    Store(store::Args),
    /// Unlock the vault file until lock or reboot
    Unlock(unlock::Args),
    /// Forget the vault file's key
    Lock(lock::Args),
    /// Add a server to the configs of clients
    Add(add::Args),
    /// Remove a server that was added, and what only it used
    Remove(remove::Args),
    /// Create, show, edit and validate policies
    Policy(policy::Args),
    /// Approve policies in their current form
    Grant(grant::Args),
    /// Install and lock the package a policy runs
    Pin(pin::Args),
    /// Log in to a remote server that uses OAuth
    Login(login::Args),
    /// Revoke and remove the token of a remote server
    Logout(logout::Args),
    /// Run a server with its secrets, for client configs
    Run(run::Args),
    /// Start a server as a client does, and list its tools
    Test(test::Args),
    /// List running servers
    Ps(ps::Args),
    /// Restart a server without dropping its sessions
    Renew(renew::Args),
    /// Revoke approval and stop the servers
    Revoke(revoke::Args),
    /// Test the kill switch on this machine
    Drill(drill::Args),
    /// Query, verify and export the audit log
    Log(Box<log::Args>),
    /// Print a shell completion script
    Completions(completions::Args),
    /// Write manual pages to a directory
    Man(man::Args),
    /// Restore client configs and remove everything
    Uninstall(uninstall::Args),
}

/// What every command that uses files gets.
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
        secret_files::sweep(&dirs);
        Ok(Self { dirs })
    }

    /// Stores the head of the log, after audit records. A store that is locked or missing is not reported
    /// here: the command did so if it matters.
    fn keep_head(&self) {
        match ops::head::keep(&self.dirs) {
            Err(error) if error.code == Code::AuditBroken => print::error(&error),
            Err(_) | Ok(()) => {}
        }
    }
}

/// Parses the arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    crate::sys::loader::start_clean();
    crate::sys::signal::survive_file_limit();
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(error) = usage::refuse(&args) {
        print::error(&error);
        return ExitCode::from(if is_run(&args) {
            error.run_exit()
        } else {
            EXIT_ERROR
        });
    }
    if let Some(run) = run::Args::alone(&args) {
        return ExitCode::from(launch(run));
    }
    // Elsewhere than on a terminal, a command was forgotten.
    if args.len() == 1 && print::screen_lines().is_some() {
        let code = exit_code(Context::new().and_then(|cx| overview::run(&cx)));
        return ExitCode::from(print::finish(code));
    }
    let parsed = help::command().try_get_matches_from(&args);
    let code = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => exit_code(dispatch(cli.command)),
        Err(error) if is_help(&error) => {
            print::help(&error);
            if error.use_stderr() { EXIT_ERROR } else { 0 }
        }
        Err(error) => {
            let mut root = help::plain_command();
            root.build();
            let error = usage::explain(&error, &root, &args);
            print::error(&error);
            if is_run(&args) {
                error.run_exit()
            } else {
                EXIT_ERROR
            }
        }
    };
    ExitCode::from(print::finish(code))
}

fn exit_code(done: Result<u8>) -> u8 {
    done.unwrap_or_else(|error| {
        print::error(&error);
        match error.code {
            // The answer was no.
            Code::Declined => EXIT_NO,
            _ => EXIT_ERROR,
        }
    })
}

/// `run` has the exit codes of a launcher, also for wrong arguments.
fn is_run(args: &[OsString]) -> bool {
    args.get(1).is_some_and(|command| command == "run")
}

/// Help or version, requested or not.
fn is_help(error: &clap::Error) -> bool {
    !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn dispatch(command: CliCommand) -> Result<u8> {
    match command {
        CliCommand::Add(args) => changing(|cx| add::run(&args, cx)),
        CliCommand::Remove(args) => changing(|cx| remove::run(&args, cx)),
        CliCommand::Adopt(args) => changing(|cx| adopt::run(&args, cx)),
        CliCommand::Check(args) => check::run(&args, &Context::new()?),
        CliCommand::Run(args) => Ok(launch(args)),
        CliCommand::Secret(args) => changing(|cx| secret::run(args, cx)),
        CliCommand::Store(args) => changing(|cx| store::run(args, cx)),
        CliCommand::Policy(args) => policy::run(args),
        CliCommand::Grant(args) => changing(|cx| grant::run(&args, cx)),
        CliCommand::Revoke(args) => changing(|cx| Ok(revoke::run(&args, cx))),
        CliCommand::Login(args) => changing(|cx| login::run(&args, cx)),
        CliCommand::Logout(args) => changing(|cx| logout::run(&args, cx)),
        CliCommand::Config(args) => changing(|cx| config::run(&args, cx)),
        CliCommand::Ps(args) => Ok(ps::run(&args, &Context::new()?)),
        CliCommand::Test(args) if args.is_recorded() => changing(|cx| test::run(&args, cx)),
        CliCommand::Test(args) => test::run(&args, &Context::new()?),
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
        CliCommand::Uninstall(args) => uninstall::run(&args, &Context::new()?),
    }
}

/// Runs a command that writes audit records, then stores the head of the log, also after an error: secrets may
/// have been released before.
fn changing(act: impl FnOnce(&Context) -> Result<u8>) -> Result<u8> {
    let cx = Context::new()?;
    let done = act(&cx);
    cx.keep_head();
    done
}

/// `run` has its own exit codes for every error.
fn launch(args: run::Args) -> u8 {
    let code = Context::new().and_then(|cx| run::run(args, &cx));
    code.unwrap_or_else(|error| {
        print::error(&error);
        error.run_exit()
    })
}
