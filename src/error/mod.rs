//! Errors for users: what was not done, why, and what to do.
//!
//! Invariants: an error contains no secret, no part of one, and not its length. The module that knows
//! the facts writes the message, and other modules do not parse or change its text: they read fields,
//! and add what they know (`context`, `caused_by`). Only `cli::print` prints errors.

mod code;

use std::fmt;

pub use self::code::Code;

/// A result whose error can be shown to the user unchanged.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit code: mcpwrap refused or failed before the server started (as `env`, `timeout`, `docker run`).
pub const EXIT_REFUSED: u8 = 125;
/// Exit code: the program was found but cannot be executed (as the shell).
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// Exit code: the program was not found (as the shell).
pub const EXIT_NOT_FOUND: u8 = 127;
/// Exit code of the other commands: a "no" answer, or findings.
pub const EXIT_NO: u8 = 1;
/// Exit code of the other commands: an error.
pub const EXIT_ERROR: u8 = 2;

/// The kind of a cause, for callers that handle it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CauseKind {
    /// No special handling.
    #[default]
    Fact,
    /// There is no network, or no answer: a later attempt may succeed.
    Unreachable,
}

/// One cause: a fact, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub kind: CauseKind,
    /// One line.
    pub fact: String,
    /// Lines shown below it: an excerpt of a file with a caret, or expected and found values.
    pub excerpt: Option<String>,
    /// What required it, e.g. `github.toml:9`.
    pub required_by: Option<String>,
}

/// The lines as printed, with the fact first.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)?;
        if let Some(place) = &self.required_by {
            write!(f, " (required by {place})")?;
        }
        match &self.excerpt {
            Some(lines) => write!(f, "\n{lines}"),
            None => Ok(()),
        }
    }
}

/// An error: `what` was not done, the `causes`, and `hints` for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    /// What was not done because of `what`, e.g. "cannot start server `github`".
    pub context: Option<String>,
    pub what: String,
    pub causes: Vec<Cause>,
    pub hints: Vec<String>,
    /// The name of the store that failed, for programs.
    pub store: Option<Box<str>>,
}

impl Error {
    /// `what`: lower case, without a full stop, naming the server or file.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            context: None,
            what: what.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            store: None,
        }
    }

    /// Names the store that failed.
    #[must_use]
    pub fn of_store(mut self, name: impl fmt::Display) -> Self {
        self.store = Some(name.to_string().into());
        self
    }

    /// Sets what was not done because of this error. Replaces an earlier context.
    #[must_use]
    pub fn context(mut self, not_done: impl Into<String>) -> Self {
        self.context = Some(not_done.into());
        self
    }

    /// [`Self::context`] for the start of a server.
    #[must_use]
    pub fn not_started(self, server: &impl fmt::Display) -> Self {
        self.context(format!("cannot start server `{server}`"))
    }

    /// Adds a cause. Lines after the first become its excerpt.
    #[must_use]
    pub fn cause(self, cause: impl fmt::Display) -> Self {
        self.cause_of(CauseKind::Fact, cause)
    }

    /// [`Self::cause`] of a given kind.
    #[must_use]
    pub fn cause_of(mut self, kind: CauseKind, cause: impl fmt::Display) -> Self {
        let text = cause.to_string();
        let (fact, excerpt) = match text.split_once('\n') {
            Some((fact, lines)) => (fact.to_owned(), Some(lines.to_owned())),
            None => (text, None),
        };
        self.causes.push(Cause {
            kind,
            fact,
            excerpt,
            required_by: None,
        });
        self
    }

    /// Adds the causes of another error, without its `what`.
    #[must_use]
    pub fn because(mut self, error: Self) -> Self {
        self.causes.extend(error.causes);
        self.store = self.store.or(error.store);
        self
    }

    /// [`Self::because`], including the hints of that error.
    #[must_use]
    pub fn caused_by(mut self, mut error: Self) -> Self {
        self.hints.append(&mut error.hints);
        self.because(error)
    }

    /// Adds to the first cause what required the missing item.
    #[must_use]
    pub fn required_by(mut self, place: String) -> Self {
        if let Some(cause) = self.causes.first_mut() {
            cause.required_by = Some(place);
        }
        self
    }

    /// The first line of the message.
    pub fn headline(&self) -> &str {
        self.context.as_ref().unwrap_or(&self.what)
    }

    /// The cause lines: `what`, if there is a context, and the causes.
    pub fn chain(&self) -> Vec<String> {
        let reason = self.context.as_ref().map(|_| self.what.clone());
        let causes = self.causes.iter().map(ToString::to_string);
        reason.into_iter().chain(causes).collect()
    }

    /// Whether a cause has this kind.
    pub fn is(&self, kind: CauseKind) -> bool {
        self.causes.iter().any(|cause| cause.kind == kind)
    }

    /// The causes in one line, without excerpts.
    pub fn reasons(&self) -> String {
        let facts: Vec<_> = self.causes.iter().map(|cause| &*cause.fact).collect();
        facts.join("; ")
    }

    /// Adds a hint. Use at most two.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// [`Self::hint`], if given.
    #[must_use]
    pub fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The exit code of `mcpwrap run` if this error prevented the start.
    pub const fn run_exit(&self) -> u8 {
        match self.code {
            Code::ProgramNotFound => EXIT_NOT_FOUND,
            Code::ProgramNotExecutable => EXIT_NOT_EXECUTABLE,
            _ => EXIT_REFUSED,
        }
    }

    /// The complete message in one line, for a JSON-RPC error.
    pub fn line(&self) -> String {
        format!("mcpwrap: {}", self.text())
    }

    /// [`Self::line`] without the program name.
    pub fn text(&self) -> String {
        let mut line = format!("{} [{}]", self.headline(), self.code);
        for cause in self.chain() {
            line.push_str(": ");
            line.push_str(cause.lines().next().unwrap_or_default());
        }
        for hint in &self.hints {
            line.push_str("; ");
            line.push_str(hint);
        }
        line
    }
}

/// The lines of the message, each with the prefix, because a client's log mixes them with others.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "mcpwrap: error[{}]: {}",
            self.code,
            printable(self.headline())
        )?;
        for cause in self.chain() {
            for (n, line) in cause.lines().enumerate() {
                let head = if n == 0 { "cause: " } else { "       " };
                writeln!(f, "mcpwrap: {head}{}", printable(line))?;
            }
        }
        for hint in &self.hints {
            writeln!(f, "mcpwrap: hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Replaces control characters in external text, so that it cannot control a terminal or forge a
/// line, and invisible characters that would make it misleading.
pub fn printable(text: &str) -> String {
    let shown = |c| if is_shown(c) { c } else { '\u{fffd}' };
    text.chars().map(shown).collect()
}

/// Whether a terminal shows a character as itself.
pub fn is_shown(c: char) -> bool {
    let misleads = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !misleads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_prefix() {
        let error = Error::new(Code::PolicyInvalid, "unknown field `secert`")
            .cause("~/p.toml:7:1\n7 | secert\n  | ^^^^^^")
            .hint("did you mean `secret`?");
        let text = error.to_string();
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.starts_with("mcpwrap: ")));
    }

    #[test]
    fn callers_add_context_and_the_facts_stay_separate() {
        let inner = Error::new(Code::SecretNotFound, "`secret:a` has no value")
            .cause("the vault file has no `a`\nexcerpt")
            .hint("store it");
        let error = Error::new(inner.code, "`A` has no value")
            .caused_by(inner)
            .required_by("github.toml:9".to_owned())
            .not_started(&"github");
        assert_eq!(error.what, "`A` has no value");
        assert_eq!(error.reasons(), "the vault file has no `a`");
        assert_eq!(
            error.line(),
            "mcpwrap: cannot start server `github` [secret-not-found]: `A` has no value: \
             the vault file has no `a` (required by github.toml:9); store it"
        );
        assert_eq!(
            error.chain(),
            [
                "`A` has no value",
                "the vault file has no `a` (required by github.toml:9)\nexcerpt"
            ]
        );
        assert!(!error.is(CauseKind::Unreachable));
        let late = Error::new(Code::PackageFailed, "x").cause_of(CauseKind::Unreachable, "late");
        assert!(error.clone().because(late).is(CauseKind::Unreachable));
        assert_eq!(error.context("session ended").headline(), "session ended");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = Error::new(Code::Usage, "a\u{1b}[31m\rb").to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
        assert_eq!(printable("a\u{202e}b\u{200b}é"), "a\u{fffd}b\u{fffd}é");
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }
}
