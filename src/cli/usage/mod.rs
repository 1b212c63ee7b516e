//! What is wrong with a command line, in mcpwrap's own words.
//!
//! Invariant: no argument is repeated. Command lines contain secrets, and messages end in the client's
//! log. Only names of flags and commands that mcpwrap defines are repeated.

mod meant;
mod misplaced;

use std::ffi::OsString;

pub(super) use self::misplaced::{masked, name as looks_secret, refuse};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::error::{Code, Error};
use crate::suggest::nearest;

/// The error to show instead of clap's. `root` is the command that parsed the arguments.
pub(super) fn explain(error: &clap::Error, root: &Command, args: &[OsString]) -> Error {
    let used = Used::find(root, args);
    let get = |kind| error.get(kind).map(text).filter(|text| !text.is_empty());
    // Errors of mcpwrap's own types are more precise than clap's.
    if let Some(own) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>()) {
        let typed = get(ContextKind::InvalidValue).unwrap_or_default();
        return misplaced::name(&typed, &used.path).unwrap_or_else(|| own.clone());
    }
    let argument = error.get(ContextKind::InvalidArg).map(flags);
    let argument = argument.filter(|names| !names.is_empty());
    let named = argument.clone().unwrap_or_else(|| "an argument".to_owned());
    let shown = match error.kind() {
        ErrorKind::UnknownArgument if is_flag(error) => {
            let what = match argument {
                Some(name) => format!("unknown flag {name}"),
                None => "unknown flag".to_owned(),
            };
            Error::new(Code::Usage, what).cause(used.flags())
        }
        ErrorKind::UnknownArgument => match misplaced::value(&used.path) {
            Some(error) => return error,
            None => Error::new(Code::Usage, "unexpected argument").cause(used.arguments()),
        },
        ErrorKind::InvalidSubcommand => return used.unknown_command(error),
        ErrorKind::MissingSubcommand => {
            Error::new(Code::Usage, "missing command").cause(used.commands())
        }
        ErrorKind::MissingRequiredArgument => used.described(
            Error::new(Code::Usage, format!("missing argument {named}")),
            error,
        ),
        ErrorKind::ArgumentConflict => Error::new(
            Code::Usage,
            match get(ContextKind::PriorArg) {
                Some(prior) => format!("{named} cannot be used with `{prior}`"),
                None => format!("{named} cannot be used with the other arguments"),
            },
        ),
        ErrorKind::InvalidUtf8 => Error::new(Code::Usage, "an argument is not UTF-8"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let is_missing = error.get(ContextKind::InvalidValue).map(text);
            let what = if is_missing.is_some_and(|value| value.is_empty()) {
                format!("missing value for {named}")
            } else {
                format!("invalid value for {named}")
            };
            used.described(Error::new(Code::Usage, what), error)
        }
        _ => used.described(
            Error::new(Code::Usage, format!("invalid use of {named}")),
            error,
        ),
    };
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    let shown = match near.into_iter().find_map(get) {
        Some(near) => shown.hint(format!("did you mean `{near}`?")),
        None => shown,
    };
    shown.hint(used.usage())
}

/// Whether an unknown argument was written as a flag.
fn is_flag(error: &clap::Error) -> bool {
    let argument = error.get(ContextKind::InvalidArg).map(text);
    argument.is_some_and(|argument| argument.starts_with('-'))
}

/// The command that the arguments name, as far as they are known.
struct Used<'a> {
    command: &'a Command,
    /// Without `mcpwrap`; empty for `mcpwrap` itself.
    path: String,
    /// The word after it.
    next: Option<&'a str>,
}

impl<'a> Used<'a> {
    fn find(root: &'a Command, args: &'a [OsString]) -> Self {
        let mut used = Self {
            command: root,
            path: String::new(),
            next: None,
        };
        for word in args
            .iter()
            .skip(1)
            .map(|word| word.to_str().unwrap_or_default())
        {
            let Some(found) = used.command.find_subcommand(word) else {
                used.next = Some(word);
                break;
            };
            used.command = found;
            if !used.path.is_empty() {
                used.path.push(' ');
            }
            used.path.push_str(found.get_name());
        }
        used
    }

    fn full(&self) -> String {
        format!("mcpwrap {}", self.path).trim_end().to_owned()
    }

    fn usage(&self) -> String {
        let mut command = self.command.clone().bin_name(self.full());
        let usage = command.render_usage().to_string();
        usage.replace("Usage:", "usage:").replace('\n', " ")
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        let all = self.command.get_subcommands();
        all.map(Command::get_name).filter(|name| *name != "help")
    }

    fn commands(&self) -> String {
        let names: Vec<_> = self.names().collect();
        format!("expected one of: {}", names.join(", "))
    }

    fn flags(&self) -> String {
        let flags = self.command.get_arguments().filter_map(Arg::get_long);
        let flags: Vec<_> = flags
            .filter(|name| *name != "help")
            .map(|name| format!("--{name}"))
            .collect();
        if flags.is_empty() {
            return format!("`{}` has no flags", self.full());
        }
        format!("expected one of: {}", flags.join(", "))
    }

    fn arguments(&self) -> String {
        let names = self.command.get_positionals();
        let names: Vec<_> = names.map(|arg| format!("`{arg}`")).collect();
        if names.is_empty() {
            return format!("`{}` takes no arguments, only flags", self.full());
        }
        format!("`{}` takes {}", self.full(), names.join(", "))
    }

    /// With what an argument accepts: its values, or the words of its help.
    fn described(&self, shown: Error, error: &clap::Error) -> Error {
        let values = error.get(ContextKind::ValidValue).map(text);
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            return shown.cause(format!("expected one of: {values}"));
        }
        let typed = error
            .get(ContextKind::InvalidArg)
            .map(text)
            .unwrap_or_default();
        let first = typed.split(", ").next().unwrap_or_default();
        let found = self.command.get_arguments().find(|arg| {
            let long = first
                .split(['=', ' '])
                .next()
                .and_then(|long| long.strip_prefix("--"));
            arg.get_long().is_some() && arg.get_long() == long
                || bare(&arg.to_string()) == bare(first)
        });
        match found.and_then(Arg::get_help) {
            Some(help) => shown.cause(format!("expected: {help}")),
            None => shown,
        }
    }

    fn unknown_command(&self, error: &clap::Error) -> Error {
        let what = if self.path.is_empty() {
            "unknown command".to_owned()
        } else {
            format!("unknown command of `{}`", self.full())
        };
        let shown = Error::new(Code::Usage, what).cause(self.commands());
        let typed = self.next.unwrap_or_default();
        if let Some(hint) = meant::hint(&self.path, typed) {
            return shown.hint(hint);
        }
        let suggested = error.get(ContextKind::SuggestedSubcommand).map(text);
        let near = nearest(typed, self.names()).map(str::to_owned);
        match near.or(suggested.filter(|name| !name.is_empty())) {
            Some(near) => shown.hint(format!("did you mean `{near}`?")),
            None => shown.hint(self.usage()),
        }
    }
}

/// The name of a positional argument, which is required in one form of a command and not in another.
fn bare(argument: &str) -> &str {
    argument.trim_matches(['<', '>', '[', ']', '.'])
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
    let name = |text: &String| {
        let name = text.split(['=', ' ']).next().unwrap_or_default();
        is_word(name).then(|| format!("`{name}`"))
    };
    names.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

/// Whether a flag or the name of an argument can be repeated: a token is longer or has digits.
fn is_word(name: &str) -> bool {
    name.len() <= 32
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'-' || name.starts_with('<'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

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
        let args: Vec<OsString> = std::iter::once(&"mcpwrap")
            .chain(args)
            .map(OsString::from)
            .collect();
        let error = Sample::try_parse_from(&args).unwrap_err();
        let mut root = Sample::command();
        root.build();
        let shown = explain(&error, &root, &args).to_string();
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
        case(&["secre"], "expected one of: secret");
        case(&["allow"], "run `mcpwrap grant SERVER`");
        case(&["secret", "a", "--ghp_hunter2"], "unknown flag\n");
        case(&["secret", "a", "--hunter"], "expected one of: --profile");
        case(
            &["secret", "a", "hunter2"],
            "`mcpwrap secret` takes `<NAME>`",
        );
        case(
            &["secret", "a", "--profile"],
            "missing value for `--profile`",
        );
        case(&["secret", "--profile", "p"], "missing argument `<NAME>`");
        case(&["secret"], "missing argument `<NAME>`");
        case(&["secret", "a", "--profile", "/"], "error[name-invalid]");
    }
}
