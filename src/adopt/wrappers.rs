//! Programs that read values from a store and start a command with them: `op run -- CMD`, `doppler run
//! -- CMD`, `infisical run -- CMD`, `bws run -- CMD`, `sops exec-env FILE CMD`.
//!
//! Invariant: only a call whose every option is understood is taken apart. Pure.

use crate::package;

/// A call of such a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WrapperCall {
    /// The type of the store.
    pub(super) kind: &'static str,
    /// The call itself, for messages.
    pub(super) shown: &'static str,
    /// How many words of the command line it has.
    pub(super) length: usize,
    /// The settings of the store that its options choose.
    pub(super) settings: Vec<(&'static str, String)>,
    /// The files that it reads names or values from.
    pub(super) files: Vec<String>,
    /// The folder of the values in the store, without slashes around it.
    pub(super) folder: String,
    /// Whether the last word is the whole command, as text for a shell.
    pub(super) is_text: bool,
}

/// What an option means.
#[derive(Clone, Copy)]
enum WrapperOption {
    /// It does not matter here.
    Harmless,
    /// Its value does not matter here.
    Skipped,
    /// Its value is this setting of the store.
    Setting(&'static str),
    /// Its value is a file with variables.
    File,
    /// Its value is the folder of the values.
    Folder,
}

use WrapperOption::{File, Folder, Harmless, Setting, Skipped};

/// One program.
struct WrapperForm {
    kind: &'static str,
    shown: &'static str,
    words: [&'static str; 2],
    options: &'static [(&'static str, WrapperOption)],
    /// Whether a file and the command follow, instead of `--` and the words of the command.
    takes_file: bool,
}

const FORMS: &[WrapperForm] = &[
    WrapperForm {
        kind: "op",
        shown: "op run",
        words: ["op", "run"],
        options: &[
            ("--account", Setting("account")),
            ("--env-file", File),
            ("--no-masking", Harmless),
            ("--no-color", Harmless),
            ("--cache", Harmless),
        ],
        takes_file: false,
    },
    WrapperForm {
        kind: "doppler",
        shown: "doppler run",
        words: ["doppler", "run"],
        options: &[
            ("-p", Setting("project")),
            ("--project", Setting("project")),
            ("-c", Setting("config")),
            ("--config", Setting("config")),
            ("--silent", Harmless),
            ("--no-check-version", Harmless),
            ("--no-fallback", Harmless),
            ("--no-cache", Harmless),
            ("--forward-signals", Harmless),
            ("--timeout", Skipped),
        ],
        takes_file: false,
    },
    WrapperForm {
        kind: "infisical",
        shown: "infisical run",
        words: ["infisical", "run"],
        options: &[
            ("-e", Setting("environment")),
            ("--env", Setting("environment")),
            ("--projectId", Setting("project")),
            ("--domain", Setting("domain")),
            ("--path", Folder),
            ("--silent", Harmless),
        ],
        takes_file: false,
    },
    WrapperForm {
        kind: "bws",
        shown: "bws run",
        words: ["bws", "run"],
        options: &[("--project-id", Setting("project"))],
        takes_file: false,
    },
    WrapperForm {
        kind: "sops",
        shown: "sops exec-env",
        words: ["sops", "exec-env"],
        options: &[("--pristine", Harmless), ("--same-process", Harmless)],
        takes_file: true,
    },
];

impl WrapperCall {
    /// Reads the start of a command line. `None` if it is no such call.
    ///
    /// # Errors
    /// Why the call is not understood.
    pub(super) fn read(words: &[String]) -> Result<Option<Self>, String> {
        let Some(form) = FORMS.iter().find(|form| form.fits(words)) else {
            return Ok(None);
        };
        form.read(words).map(Some)
    }
}

impl WrapperForm {
    /// Whether the words start with the program and its command, with options in between.
    fn fits(&self, words: &[String]) -> bool {
        let [program, verb] = self.words;
        let is_program = words
            .first()
            .is_some_and(|first| package::program_name(first) == program);
        let mut before = words.iter().skip(1).take_while(|word| *word != "--");
        is_program && before.any(|word| word == verb)
    }

    fn read(&self, words: &[String]) -> Result<WrapperCall, String> {
        let mut call = WrapperCall {
            kind: self.kind,
            shown: self.shown,
            ..WrapperCall::default()
        };
        let not_understood = |word: &str| {
            // Its value may be a secret.
            let name = word.split('=').next().unwrap_or(word);
            format!("`{name}` of `{}` is not understood", self.shown)
        };
        let mut rest = words.iter().enumerate().skip(1);
        let mut has_verb = false;
        while let Some((n, word)) = rest.next() {
            if !has_verb && word == self.words[1] {
                has_verb = true;
            } else if word == "--" && !self.takes_file {
                call.length = n + 1;
                break;
            } else if self.takes_file && has_verb && !word.starts_with('-') {
                call.files.push(word.clone());
                call.length = n + 1;
                call.is_text = true;
                break;
            } else if word.starts_with('-') {
                let (name, own) = match word.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (word.as_str(), None),
                };
                let known = self.options.iter().find(|(known, _)| *known == name);
                let Some((_, option)) = known else {
                    return Err(not_understood(word));
                };
                let mut value = || {
                    let value = own.clone().or_else(|| Some(rest.next()?.1.clone()));
                    value.ok_or_else(|| not_understood(word))
                };
                match option {
                    Harmless => {}
                    Skipped => drop(value()?),
                    Setting(setting) => call.settings.push((setting, value()?)),
                    File => call.files.push(value()?),
                    Folder => value()?.trim_matches('/').clone_into(&mut call.folder),
                }
            } else {
                return Err(not_understood(word));
            }
        }
        let left = words.len().saturating_sub(call.length);
        if call.length == 0 || left == 0 || call.is_text && left > 1 {
            return Err(format!("no command follows `{}`", self.shown));
        }
        Ok(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<WrapperCall>, String> {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        WrapperCall::read(&words)
    }

    fn call(line: &str) -> WrapperCall {
        read(line).unwrap().unwrap()
    }

    #[test]
    fn calls_are_taken_apart() {
        let op = call(
            "/usr/bin/op|--account=acme|run|--env-file|a.env|--env-file=b.env|--no-masking|--|npx|x|--|y",
        );
        assert_eq!((op.kind, op.length), ("op", 8));
        assert_eq!(op.settings, [("account", "acme".to_owned())]);
        assert_eq!(op.files, ["a.env", "b.env"]);
        let doppler = call("doppler|run|-p|web|--config=dev|--|node|server.js");
        let expected = [("project", "web".to_owned()), ("config", "dev".to_owned())];
        assert_eq!(
            (doppler.length, doppler.settings.as_slice()),
            (6, &expected[..])
        );
        let infisical = call("infisical|run|--env=dev|--path=/mcp/|--|node|x");
        assert_eq!((infisical.kind, &*infisical.folder), ("infisical", "mcp"));
        let sops = call("sops|exec-env|--pristine|secrets.yaml|npx -y server");
        assert_eq!(
            (sops.length, sops.is_text, &*sops.files[0]),
            (4, true, "secrets.yaml")
        );
        assert_eq!(call("bws|run|--|node|x").kind, "bws");
    }

    #[test]
    fn other_commands_are_not() {
        for line in [
            "npx|-y|op|run|--|x",
            "op|read|op://a/b/c",
            "op",
            "doppler|secrets",
            "sops|-d|x",
        ] {
            assert_eq!(read(line), Ok(None), "{line}");
        }
        for line in [
            "op|run|npx|x",
            "op|run|--env-file",
            "op|run|--",
            "op|run|--session=hunter2|--|x",
            "doppler|run|--command|npx x",
            "doppler|run|--token|hunter2|--|x",
            "sops|exec-env|a.yaml",
            "sops|exec-env|a.yaml|npx|x",
        ] {
            let why = read(line).unwrap_err();
            assert!(why.contains('`') && !why.contains("hunter2"), "{why}");
        }
    }
}
