//! `mcpwrap store check`: asks stores whether they can be used now, without reading a value.

use serde_json::{Map, Value, json};

use super::{checked, say, show};
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result};
use crate::secret::StoreName;
use crate::store::source::StoreCheck;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stores to check
    #[arg(required = true)]
    name: Vec<StoreName>,
    /// Print JSON (see docs/stores.md)
    #[arg(long)]
    json: bool,
}

/// Does what it can for each name; the exit code is that of the worst.
pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let (mut code, mut rows) = (0, Vec::new());
    for name in &args.name {
        let (answer, said) = match checked(cx, &config, name) {
            Ok(report) => (report.answer, report.said),
            Err(error) => (Err(named(name, error)), None),
        };
        code = code.max(match &answer {
            Ok(_) => 0,
            Err(error) => exit(error),
        });
        match &answer {
            _ if args.json => rows.push(row(name, &answer, said.as_deref())),
            Ok(found) => show(name, found),
            Err(error) => {
                print::error(error);
                say(name, said.as_deref());
            }
        }
    }
    if args.json {
        print::json(&Value::Array(rows));
    }
    Ok(code)
}

/// The error with the name of the store that was not asked, if it does not say it.
fn named(name: &StoreName, error: Error) -> Error {
    if error.store.is_some() || error.headline().contains(&format!("`{name}`")) {
        return error;
    }
    error.context(format!("store `{name}` was not checked"))
}

/// 1 if the store cannot be used now, 2 if it was not asked.
pub(super) fn exit(error: &Error) -> u8 {
    match error.code {
        Code::StoreAbsent
        | Code::StoreLocked
        | Code::StoreSignedOut
        | Code::StoreDenied
        | Code::StoreUnavailable
        | Code::StoreThrottled
        | Code::StoreTimeout
        | Code::StoreProgramRefused
        | Code::StoreAnswerInvalid
        | Code::StoreFailed
        | Code::StoreBroken => EXIT_NO,
        _ => EXIT_ERROR,
    }
}

/// One element of the array; `docs/stores.md` describes it.
fn row(name: &StoreName, answer: &Result<StoreCheck>, said: Option<&str>) -> Value {
    match answer {
        Ok(found) => {
            let pair = |(fact, value): &(&str, String)| ((*fact).to_owned(), value.as_str().into());
            let facts: Map<String, Value> = found.facts.iter().map(pair).collect();
            let works = found.is_asked.then_some(true);
            json!({ "name": name, "works": works, "facts": facts, "error": null, "said": null })
        }
        Err(error) => json!({
            "name": name,
            "works": false,
            "facts": {},
            "error": {
                "code": error.code.name(),
                "what": error.headline(),
                "causes": error.chain(),
                "hints": error.hints,
            },
            "said": said,
        }),
    }
}
