//! What is wrong with a command line, in our own words.
//!
//! *Never* repeats an argument: people and configs put secrets into command lines, and what we say
//! ends in the client's log. Names of flags and verbs are repeated, for they are ours.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Code, Error};

/// The error to show instead of clap's.
pub(super) fn explain(error: &clap::Error) -> Error {
    // Our own types say best what is wrong with a value.
    if let Some(own) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>()) {
        return own.clone();
    }
    let get = |kind| error.get(kind).map(text).filter(|text| !text.is_empty());
    let argument = error.get(ContextKind::InvalidArg).map(flags);
    let named = argument.clone().unwrap_or_else(|| "an argument".to_owned());
    let what = match error.kind() {
        ErrorKind::UnknownArgument => match argument {
            Some(name) if name.starts_with("`-") => format!("unknown flag {name}"),
            _ => "an argument too many".to_owned(),
        },
        ErrorKind::InvalidSubcommand => "unknown verb".to_owned(),
        ErrorKind::MissingSubcommand => "no verb".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("missing: {named}"),
        ErrorKind::ArgumentConflict => match get(ContextKind::PriorArg) {
            Some(prior) => format!("{named} does not go with `{prior}`"),
            None => format!("{named} does not go with the others"),
        },
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{named} cannot have that value")
        }
        _ => format!("{named} is used in a wrong way"),
    };
    let mut shown = Error::new(Code::Usage, what);
    if let Some(values) = get(ContextKind::ValidValue) {
        shown = shown.cause(format!("it can be {values}"));
    }
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    if let Some(near) = near.into_iter().find_map(get) {
        shown = shown.hint(format!("did you mean `{near}`?"));
    }
    match get(ContextKind::Usage) {
        Some(usage) => shown.hint(usage.replace("Usage:", "usage:").replace('\n', " ")),
        None => shown.hint("`mcpwrap help` lists the verbs"),
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

/// The names of flags or arguments without what stands behind `=`.
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
            "error[usage]: an argument too many",
        );
        case(
            &["secret", "a", "--hunter=hunter2"],
            "unknown flag `--hunter`",
        );
        case(
            &["secret", "a", "--profil", "hunter2"],
            "did you mean `--profile`?",
        );
        case(&["hunter2"], "unknown verb");
        case(&["secre"], "did you mean `secret`?");
        case(&["secret"], "missing: `<NAME>`");
        case(&["secret", "a", "--profile", "/"], "error[name-invalid]");
    }
}
