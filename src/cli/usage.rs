//! What is wrong with a command line, in mcpwrap's own words.
//!
//! Invariant: no argument is repeated. Command lines contain secrets, and messages end in the client's
//! log. Only names of flags and commands that mcpwrap defines are repeated.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Code, Error};

/// The error to show instead of clap's.
pub(super) fn explain(error: &clap::Error) -> Error {
    // Errors of mcpwrap's own types are more precise than clap's.
    if let Some(own) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>()) {
        return own.clone();
    }
    let get = |kind| error.get(kind).map(text).filter(|text| !text.is_empty());
    let argument = error.get(ContextKind::InvalidArg).map(flags);
    let named = argument.clone().unwrap_or_else(|| "an argument".to_owned());
    let what = match error.kind() {
        ErrorKind::UnknownArgument => match argument {
            Some(name) if name.starts_with("`-") => format!("unknown flag {name}"),
            _ => "unexpected argument".to_owned(),
        },
        ErrorKind::InvalidSubcommand => "unknown command".to_owned(),
        ErrorKind::MissingSubcommand => "missing command".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("missing argument {named}"),
        ErrorKind::ArgumentConflict => match get(ContextKind::PriorArg) {
            Some(prior) => format!("{named} cannot be used with `{prior}`"),
            None => format!("{named} cannot be used with the other arguments"),
        },
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("invalid value for {named}")
        }
        _ => format!("invalid use of {named}"),
    };
    let mut shown = Error::new(Code::Usage, what);
    if let Some(values) = get(ContextKind::ValidValue) {
        shown = shown.cause(format!("expected one of: {values}"));
    }
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    if let Some(near) = near.into_iter().find_map(get) {
        shown = shown.hint(format!("did you mean `{near}`?"));
    }
    match get(ContextKind::Usage) {
        Some(usage) => shown.hint(usage.replace("Usage:", "usage:").replace('\n', " ")),
        None => shown.hint("run `mcpwrap help` to list the commands"),
    }
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        _ => String::new(),
    }
}

/// The names of flags or arguments, without their values.
fn flags(value: &ContextValue) -> String {
    let names = match value {
        ContextValue::Strings(texts) => texts.clone(),
        other => vec![text(other)],
    };
    let name = |text: &String| format!("`{}`", text.split(['=', ' ']).next().unwrap_or_default());
    names.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    #[command(name = "mcpwrap")]
    enum Sample {
        Secret {
            name: String,
            #[arg(long)]
            profile: Option<crate::secret::ProfileName>,
        },
    }

    #[track_caller]
    fn case(args: &[&str], expected: &str) {
        let error = Sample::try_parse_from(std::iter::once(&"mcpwrap").chain(args)).unwrap_err();
        let shown = explain(&error).to_string();
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn no_argument_is_repeated() {
        case(
            &["secret", "a", "hunter2"],
            "error[usage]: unexpected argument",
        );
        case(
            &["secret", "a", "--hunter=hunter2"],
            "unknown flag `--hunter`",
        );
        case(
            &["secret", "a", "--profil", "hunter2"],
            "did you mean `--profile`?",
        );
        case(&["hunter2"], "unknown command");
        case(&["secre"], "did you mean `secret`?");
        case(&["secret"], "missing argument `<NAME>`");
        case(&["secret", "a", "--profile", "/"], "error[name-invalid]");
    }
}
