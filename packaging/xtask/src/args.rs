//! The command line of xtask: a table of verbs, from which both parsing and usage are made.

use std::fmt::Write as _;

use crate::deps::Install;
use crate::shell::{Done, Outcome};

pub struct Flag {
    pub name: &'static str,
    pub about: &'static str,
}

pub struct Verb {
    pub name: &'static str,
    /// The name of the one optional operand; with `...` at its end, of several.
    pub operand: Option<&'static str>,
    pub about: &'static str,
    pub flags: &'static [Flag],
    pub run: fn(&Args) -> Done<Outcome>,
}

#[derive(Default)]
pub struct Args {
    flags: Vec<&'static str>,
    operands: Vec<String>,
}

impl Args {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    pub fn operand(&self) -> Option<&str> {
        self.operands.first().map(String::as_str)
    }

    pub fn operands(&self) -> &[String] {
        &self.operands
    }

    pub fn install(&self) -> Install {
        if self.has("--install") {
            Install::System
        } else {
            Install::CacheOnly
        }
    }
}

/// The verb that the words name, with its arguments.
pub fn parse<'a>(verbs: &'a [Verb], words: &[String]) -> Result<(&'a Verb, Args), String> {
    let (name, rest) = words.split_first().ok_or("a verb is missing")?;
    let verb = verbs
        .iter()
        .find(|verb| verb.name == name)
        .ok_or_else(|| format!("unknown verb `{name}`"))?;
    let mut args = Args::default();
    for word in rest {
        if let Some(flag) = verb.flags.iter().find(|flag| flag.name == word) {
            args.flags.push(flag.name);
        } else if word.starts_with('-') || !has_room(verb, &args) {
            return Err(format!("unexpected argument `{word}` of `{name}`"));
        } else {
            args.operands.push(word.clone());
        }
    }
    Ok((verb, args))
}

fn has_room(verb: &Verb, args: &Args) -> bool {
    let is_many = |name: &str| name.ends_with("...");
    let room = |name| is_many(name) || args.operands.is_empty();
    verb.operand.is_some_and(room)
}

/// One line for each verb and each flag.
pub fn usage(verbs: &[Verb]) -> String {
    let mut text = "usage: cargo xtask VERB [ARGUMENTS]\n\n".to_owned();
    for verb in verbs {
        let operand = verb.operand.map(|name| format!(" [{name}]"));
        let words = format!("{}{}", verb.name, operand.unwrap_or_default());
        _ = writeln!(text, "  {words:<14}{}", verb.about);
        for flag in verb.flags {
            _ = writeln!(text, "    {:<12}{}", flag.name, flag.about);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: &[Verb] = &[
        Verb {
            name: "corpus",
            operand: Some("DIR"),
            about: "measure",
            flags: &[Flag {
                name: "--misses",
                about: "print misses",
            }],
            run: |_| Ok(Outcome::Passed),
        },
        Verb {
            name: "servers",
            operand: Some("PACKAGE..."),
            about: "compare",
            flags: &[],
            run: |_| Ok(Outcome::Passed),
        },
    ];

    fn parsed(line: &str) -> Result<(Option<String>, bool), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(VERBS, &words)
            .map(|(_, args)| (args.operand().map(str::to_owned), args.has("--misses")))
    }

    #[test]
    fn an_operand_and_flags_come_in_any_order() {
        assert_eq!(parsed("corpus"), Ok((None, false)));
        assert_eq!(
            parsed("corpus --misses DIR"),
            Ok((Some("DIR".into()), true))
        );
        assert_eq!(
            parsed("corpus DIR --misses"),
            Ok((Some("DIR".into()), true))
        );
    }

    #[test]
    fn a_verb_may_have_several_operands() {
        let words = ["servers", "one", "two"].map(str::to_owned);
        let operands = parse(VERBS, &words).map(|(_, args)| args.operands);
        assert_eq!(operands, Ok(vec!["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn a_wrong_word_is_refused() {
        for line in ["", "bogus", "corpus --bogus", "corpus ONE TWO"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_usage_lists_every_verb_and_flag() {
        let text = usage(crate::VERBS);
        for verb in crate::VERBS {
            assert!(text.contains(&format!("\n  {}", verb.name)), "{text}");
            for flag in verb.flags {
                assert!(text.contains(&format!("\n    {}", flag.name)), "{text}");
            }
        }
    }
}
