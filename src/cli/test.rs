//! `mcpwrap test`: starts a server as a client does, and says what the client would see.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Context, print, verifying};
use crate::config::{Config, stores};
use crate::error::{Code, EXIT_NO, Error, Result, printable};
use crate::ops::needs;
use crate::policy::{self, Policy};
use crate::secret::{ProfileName, ServerName};
use crate::trial::child::ChildEnd;
use crate::trial::{self, OfferedTool, Trial, TrialOrder};

/// More tools are only in `--json`.
const TOOLS_SHOWN: usize = 50;
/// The width of a tool's line (characters).
const WIDTH: usize = 80;
/// A longer name does not move the descriptions of the others (characters).
const NAME_WIDTH: usize = 32;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to test
    server: ServerName,
    /// Policy profile, e.g. `prod`
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Time from the start to the last tool, e.g. `2m`
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "30s")]
    timeout: Duration,
    /// Ask providers whether secrets are valid (asks first, opens the store)
    #[arg(long)]
    verify: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether this process itself writes records, beside the session that it starts.
    pub const fn is_recorded(&self) -> bool {
        self.verify
    }
}

fn timeout(text: &str) -> Result<Duration> {
    let time = stores::time(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| {
        Error::new(Code::Usage, "invalid time for `--timeout`")
            .cause("expected a time such as `90s`, `10m` or `1h`")
            .hint("use a time, e.g. `--timeout 2m`")
    })
}

/// Tests the server; 1 if it did not list its tools.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.verify {
        verifying::refuse_agents(cx, "test --verify")?;
    }
    let policy = policy::load(&cx.dirs, &args.server, args.profile.as_ref())?;
    let trial = match verified(args, cx, &policy)? {
        Some(refusal) => Trial::not_started(refusal, Duration::ZERO),
        None => tested(args, cx, &policy),
    };
    let missing = needs::names(&cx.dirs, &policy);
    if args.json {
        print::json(&as_json(args, &trial, &missing));
    } else {
        report(&trial, &missing);
    }
    Ok(if trial.failure.is_some() { EXIT_NO } else { 0 })
}

/// Asks the provider, if that is wished; the error if it refuses the secret.
fn verified(args: &Args, cx: &Context, policy: &Policy) -> Result<Option<Error>> {
    if !args.verify {
        return Ok(None);
    }
    let said = match verifying::before_test(cx, &Config::load(&cx.dirs)?, policy) {
        Err(error) if error.code == Code::CredentialsRefused => return Ok(Some(error)),
        said => said?,
    };
    for line in said {
        if args.json {
            print::note(&line);
        } else {
            print::line(&line);
        }
    }
    Ok(None)
}

fn tested(args: &Args, cx: &Context, policy: &Policy) -> Trial {
    let order = TrialOrder {
        server: args.server.clone(),
        profile: args.profile.clone(),
        timeout: args.timeout,
    };
    trial::of_policy(&cx.dirs, policy, &order)
}

fn report(trial: &Trial, missing: &[String]) {
    let mut out = print::Lines::default();
    if trial.failure.is_none() {
        let found = &trial.introduction;
        if let Some(pid) = trial.session {
            out.line(&format!(
                "asked:          the session of supervisor {pid}, which goes on"
            ));
        }
        if let Some(name) = &found.name {
            let version = found.version.as_deref().unwrap_or_default();
            let server = format!("{name} {version}");
            out.line(&format!("server:         {}", printable(server.trim_end())));
        }
        let protocol = found.protocol.as_deref().unwrap_or("-");
        out.line(&format!("protocol:       {}", printable(protocol)));
        out.line(&format!("tools:          {}", trial.tools.len()));
        tools(&mut out, &trial.tools);
    }
    if !missing.is_empty() {
        out.line(&format!("not passed on:  {}", missing.join(", ")));
    }
    if let Some(first) = trial.first_answer {
        out.line(&format!("first answer:   {}", ms(first)));
    }
    out.line(&format!("total:          {}", ms(trial.total)));
    if let Some(end) = trial.end {
        out.line(&format!("end:            {}", end_text(end)));
    }
    out.print();
    if trial.failure.is_none() && trial.foreign_lines > 0 {
        let lines = match trial.foreign_lines {
            1 => "1 line of its output is no message".to_owned(),
            more => format!("{more} lines of its output are no messages"),
        };
        print::warning(&format!(
            "{lines} of MCP; some clients end the session at such a line"
        ));
    }
    let Some(failure) = &trial.failure else {
        return;
    };
    print::error(failure);
    if !trial.last_lines.is_empty() {
        print::note("the last lines of its stderr:");
    }
    for line in &trial.last_lines {
        print::note(&format!("  {}", cut(line, 4 * WIDTH)));
    }
}

fn tools(out: &mut print::Lines, tools: &[OfferedTool]) {
    let shown = tools.iter().take(TOOLS_SHOWN);
    let widths = shown
        .clone()
        .map(|tool| print::width(&printable(&tool.name)));
    let widest = widths.filter(|width| *width <= NAME_WIDTH).max();
    let widest = widest.unwrap_or_default();
    for tool in shown {
        let name = printable(&tool.name);
        let lines = tool.description.as_deref().unwrap_or_default().lines();
        let first = lines.map(str::trim).find(|line| !line.is_empty());
        let text = printable(first.unwrap_or_default());
        let pad = widest.saturating_sub(print::width(&name));
        let line = format!("  {name}{:pad$}  {text}", "");
        out.line(&cut(line.trim_end(), WIDTH));
    }
    if tools.len() > TOOLS_SHOWN {
        let more = tools.len() - TOOLS_SHOWN;
        out.line(&format!("  and {more} more, which `--json` lists"));
    }
}

/// At most this many columns.
fn cut(line: &str, width: usize) -> String {
    if print::width(line) <= width {
        return line.to_owned();
    }
    print::cut(line, width - 1) + "…"
}

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn end_text(end: ChildEnd) -> String {
    match end {
        ChildEnd::Exit(code) => {
            let signal = code.checked_sub(128).map(Signal::try_from);
            match signal {
                Some(Ok(signal)) => format!("exit code {code} ({signal})"),
                _ => format!("exit code {code}"),
            }
        }
        ChildEnd::Signal(number) => format!("signal {number}"),
        ChildEnd::Killed => "killed, because it did not exit in time".to_owned(),
    }
}

/// docs/test.md describes it.
fn as_json(args: &Args, trial: &Trial, missing: &[String]) -> Value {
    let found = &trial.introduction;
    let tool = |tool: &OfferedTool| json!({"name": tool.name, "description": tool.description});
    let tools: Vec<_> = trial.tools.iter().map(tool).collect();
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (ended, code) = match trial.end {
        None => ("not-started", None),
        Some(ChildEnd::Exit(code)) => ("exit", Some(code)),
        Some(ChildEnd::Signal(signal)) => ("signal", Some(signal)),
        Some(ChildEnd::Killed) => ("killed", None),
    };
    let error = trial.failure.as_ref().map(|error| {
        json!({
            "code": error.code.name(), "message": error.headline(),
            "causes": error.chain(), "hints": error.hints,
        })
    });
    json!({
        "server": args.server.as_str(),
        "profile": args.profile.as_ref().map(ProfileName::as_str),
        "ok": error.is_none(),
        "name": found.name, "version": found.version, "protocol": found.protocol,
        "tools": tools,
        "not_passed_on": missing,
        "first_answer_ms": trial.first_answer.map(ms), "total_ms": ms(trial.total),
        "session": trial.session, "ended": ended, "exit": code,
        "foreign_lines": trial.foreign_lines,
        "error": error, "last_lines": trial.last_lines,
    })
}
