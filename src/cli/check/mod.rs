//! `mcpwrap check`: the ten checks, on this machine or in a directory.
//!
//! *Always* read only. *Never* touches an item of the keychain, or the network, without `--verify`,
//! which asks first. Gathers what is there (`machine`, `walk`), lets `check` judge it, shows it.

mod left;
mod machine;
mod place;
mod service;
mod show;
mod verify;
mod walk;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, print};
use crate::check::{self, Ignores, LIST, Scene, Severity};
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::files::io_text;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories and files to look into, such as a repository; without any, this machine
    path: Vec<PathBuf>,
    /// This file, as a client's file, whatever its name; may be given more than once
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    config: Vec<PathBuf>,
    /// On this machine, only the files of this client; may be given more than once
    #[arg(long, value_name = "ID", conflicts_with = "path")]
    client: Vec<String>,
    /// Exit with 1 from this severity on
    #[arg(long, value_name = "LEVEL", default_value = "high")]
    fail_on: FailOn,
    /// Ask the services whether secrets are good, after asking you; open the store for it
    #[arg(long)]
    verify: bool,
    /// Show every finding, also if they do not fit on a screen
    #[arg(long, conflicts_with_all = ["json", "sarif"])]
    all: bool,
    /// A JSON object, as `docs/checks.md` describes it
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// SARIF 2.1.0, for code scanning
    #[arg(long)]
    sarif: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    Never,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let on_machine = args.path.is_empty() && args.config.is_empty();
    let mut ignores = Ignores::default();
    let mut scene = Scene {
        files: Vec::new(),
        machine: None,
        today: jiff::ZonedDateTime::now().date(),
        answers: Vec::new(),
        copies: Vec::new(),
    };
    let mut targets = Vec::new();
    if on_machine {
        list(
            &mut ignores,
            &cx.dirs.check_list(),
            &cx.dirs.tilde(&cx.dirs.check_list()),
            "",
        );
        targets = machine::files(cx, &args.client, &mut scene)?;
    } else {
        for path in args.path.iter().chain(&args.config) {
            path.symlink_metadata().map_err(|error| {
                Error::new(
                    Code::FileUnusable,
                    format!("`{}` not looked into", path.display()),
                )
                .cause(io_text(&error))
            })?;
        }
        for root in roots(&args.path, &args.config) {
            let path = root.join(LIST);
            list(
                &mut ignores,
                &path,
                &walk::shown(&path),
                &walk::shown(&root),
            );
        }
        walk::files(&args.path, &args.config, &mut scene);
    }
    let opened = if args.verify { verify::open(cx)? } else { None };
    if on_machine {
        scene.machine = Some(machine::look(cx, opened.as_ref()));
        left::look(cx, &targets, opened.as_ref(), &mut scene);
    }
    if args.verify {
        verify::copies(opened.as_ref(), &mut scene);
        verify::ask(opened.as_ref(), &mut scene)?;
    }
    let report = check::run(&scene, &ignores);
    if args.json {
        print::json(&check::json(&report));
    } else if args.sarif {
        print::json(&check::sarif(&report));
    } else {
        show::report(&report, args.all);
    }
    let fails = match args.fail_on {
        FailOn::Critical => report.fails(Severity::Critical),
        FailOn::High => report.fails(Severity::High),
        FailOn::Medium => report.fails(Severity::Medium),
        FailOn::Low => report.fails(Severity::Low),
        FailOn::Never => false,
    };
    Ok(if fails { EXIT_NO } else { 0 })
}

/// Where lists of accepted findings are looked for: each directory, and the working directory if
/// files are named.
fn roots(paths: &[PathBuf], configs: &[PathBuf]) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for path in paths.iter().chain(configs) {
        let root = if path.is_dir() {
            path.clone()
        } else {
            PathBuf::new()
        };
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// Reads a list of accepted findings, if it is there.
fn list(ignores: &mut Ignores, path: &Path, shown: &str, root: &str) {
    if path.exists() && !path.is_file() {
        return ignores.unread(shown, "it is no plain file");
    }
    match std::fs::read_to_string(path) {
        Ok(text) => ignores.add(shown, root, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
        Err(error) => ignores.unread(shown, &io_text(&error)),
    }
}
