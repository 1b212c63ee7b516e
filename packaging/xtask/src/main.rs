//! The one command of the project: `cargo xtask VERB`.
//!
//! Starts other programs and prints what they say. Nothing of it is in the shipped program.
//! Exit codes: 0 passed, 1 failed, 2 wrong usage, 3 cannot run on this machine.

mod args;
mod ci;
mod clients;
mod conformance;
mod cross;
mod demo;
mod deps;
mod dist;
mod full;
mod fuzz;
mod mac_check;
mod servers;
mod session;
mod shell;

use std::process::ExitCode;

use args::{Args, Flag, Verb};
use shell::{Done, Outcome, Programs};

const INSTALL: Flag = Flag {
    name: "--install",
    about: "also install missing system packages, with apt-get as root or through sudo",
};

const VERBS: &[Verb] = &[
    Verb {
        name: "ci",
        operand: None,
        about: "run everything that must pass, as CI runs it",
        flags: &[INSTALL],
        run: |args| ci::run(args.install()).map(passed),
    },
    Verb {
        name: "full",
        operand: Some("PART..."),
        about: "run what takes too long for each change, and say what ran and what did not; its rows of docs/full.md are new",
        flags: &[],
        run: |args| full::run(args.operands()),
    },
    Verb {
        name: "soak",
        operand: None,
        about: "run all rounds of the tests that try the kill switch at random moments",
        flags: &[],
        run: |_| ci::soak().map(passed),
    },
    Verb {
        name: "fix",
        operand: None,
        about: "format, apply clippy's suggestions, update generated documents and golden files",
        flags: &[],
        run: |_| ci::fix().map(passed),
    },
    Verb {
        name: "demo",
        operand: None,
        about: "build mcpwrap and show its main job as a story, in a temporary home",
        flags: &[
            Flag {
                name: "--picture",
                about: "also draw the story into docs/demo.svg",
            },
            Flag {
                name: "--server",
                about: "be the server that the client of the story starts",
            },
        ],
        run: |args| {
            if args.has("--server") {
                return demo::serve().map(passed);
            }
            demo::run(args.has("--picture"), Programs::ToBuild).map(passed)
        },
    },
    Verb {
        name: "deps",
        operand: Some("docker"),
        about: "install into .cache what the tests need, or a container engine, and list what is missing",
        flags: &[INSTALL],
        run: |args| {
            match args.operand() {
                None => {}
                Some("docker") => deps::docker()?,
                Some(other) => return Err(format!("unknown need `{other}`")),
            }
            deps::install(args.install()).map(|found| {
                println!("{found}");
                Outcome::Passed
            })
        },
    },
    Verb {
        name: "corpus",
        operand: Some("DIR"),
        about: "measure detection and adoption on labelled configs [default DIR: tests/corpus]",
        flags: &[Flag {
            name: "--misses",
            about: "print each value that was judged differently from its label",
        }],
        run: |args| ci::corpus(args.operand(), args.has("--misses"), Programs::ToBuild).map(passed),
    },
    Verb {
        name: "clients",
        operand: Some("ID"),
        about: "run the MCP clients of npm and PyPI headless: adopt, connect, call, revoke, grant, rotate, undo",
        flags: &[Flag {
            name: "--quick",
            about: "only the three that install fastest",
        }],
        run: |args| {
            let wanted = match args.operand() {
                Some(id) => clients::Wanted::One(id),
                None if args.has("--quick") => clients::Wanted::Quick,
                None => clients::Wanted::All,
            };
            clients::run(&wanted, Programs::ToBuild).map(passed)
        },
    },
    Verb {
        name: "conformance",
        operand: Some("SCENARIO..."),
        about: "let the official judge of MCP clients watch `mcpwrap run`, in these scenarios or in all",
        flags: &[Flag {
            name: "--drive",
            about: "be the client that the judge starts; the operand is the address of its server",
        }],
        run: |args| {
            match (args.has("--drive"), args.operand()) {
                (true, Some(url)) => conformance::drive(url)?,
                (true, None) => return Err("no address".to_owned()),
                (false, _) => conformance::run(args.operands(), Programs::ToBuild)?,
            }
            Ok(Outcome::Passed)
        },
    },
    Verb {
        name: "fuzz",
        operand: Some("SECONDS"),
        about: "run each fuzz target for so long [default: 60]; what failed stays in .cache/fuzz",
        flags: &[],
        run: |args| {
            let seconds = args.operand().unwrap_or("60");
            let seconds = seconds
                .parse()
                .map_err(|_| format!("`{seconds}` is no number of seconds"))?;
            fuzz::run(seconds)
        },
    },
    Verb {
        name: "servers",
        operand: Some("PACKAGE..."),
        about: "pin the most used servers of the registries, compare them with their launcher, update docs/packages.md",
        flags: &[],
        run: |args| servers::run(args.operands()).map(passed),
    },
    Verb {
        name: "mac-check",
        operand: None,
        about: "type-check the macOS code on Linux",
        flags: &[],
        run: |_| mac_check::run(),
    },
    Verb {
        name: "dist",
        operand: Some("TARGET"),
        about: "build the release for a target [default: this machine's] and pack it in every form",
        flags: &[
            Flag {
                name: "--check",
                about: "make a quicker build, install each form into a clean root, and use it there",
            },
            Flag {
                name: "--index",
                about: "only what needs the archives of all targets, from those in target/dist",
            },
        ],
        run: |args| {
            match (args.has("--check"), args.has("--index")) {
                (true, false) => return dist::check(),
                (false, true) => dist::index()?,
                (false, false) => dist::run(args.operand())?,
                (true, true) => return Err("`--check` or `--index`, not both".to_owned()),
            }
            Ok(Outcome::Passed)
        },
    },
];

fn passed((): ()) -> Outcome {
    Outcome::Passed
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if matches!(
        words.first().map(String::as_str),
        Some("-h" | "--help" | "help")
    ) {
        print!("{}", args::usage(VERBS));
        return ExitCode::SUCCESS;
    }
    let (verb, args) = match args::parse(VERBS, &words) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprint!("xtask: {problem}\n\n{}", args::usage(VERBS));
            return ExitCode::from(2);
        }
    };
    match run(verb, &args) {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::NotRun(reason)) => {
            eprintln!("xtask: {} NOT RUN: {reason}", verb.name);
            ExitCode::from(3)
        }
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &Verb, args: &Args) -> Done<Outcome> {
    (verb.run)(args)
}
