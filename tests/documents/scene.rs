//! A document whose commands are run in its order, as a reader does.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::{DocCommand, RUN, commands};
use crate::harness::{Ended, Terminal, Test};

pub(super) struct Scene {
    file: &'static str,
    left: VecDeque<DocCommand>,
    /// What stands for a placeholder.
    replaced: Vec<(&'static str, String)>,
    /// Where the commands run, if not in the directory of the test.
    pub(super) directory: Option<PathBuf>,
}

impl Scene {
    pub(super) fn new(file: &'static str) -> Self {
        assert!(RUN.contains(&file));
        let (commands, _) = commands(file);
        let left = commands.into_iter().filter(|one| one.mark.is_none());
        Self {
            file,
            left: left.collect(),
            replaced: Vec::new(),
            directory: None,
        }
    }

    /// A word of the document stands for this from now on.
    pub(super) fn replace(&mut self, word: &'static str, with: &str) {
        self.replaced.retain(|(known, _)| *known != word);
        self.replaced.push((word, with.to_string()));
    }

    /// All commands were run.
    pub(super) fn end(self) {
        let left: Vec<_> = self.left.iter().map(|one| (one.line, &one.text)).collect();
        assert!(left.is_empty(), "{}: not run: {left:?}", self.file);
    }

    /// The words of the next command, which must be this one, and the file that gets its output.
    fn next(&mut self, test: &Test, text: &str) -> (Vec<String>, Option<String>) {
        let next = self.left.pop_front();
        let next = next.unwrap_or_else(|| panic!("{} has no `{text}` left", self.file));
        assert_eq!(next.text, text, "{}:{}", self.file, next.line);
        let mut words = split(text).into_iter().skip(1).collect::<Vec<_>>();
        let into = words.iter().position(|word| word == ">").map(|at| {
            let file = words[at + 1].clone();
            words.truncate(at);
            file
        });
        for word in &mut words {
            if let Some((_, with)) = self.replaced.iter().find(|(known, _)| known == word) {
                word.clone_from(with);
            }
            if let Some(rest) = word.strip_prefix("~/") {
                *word = test.home.join(rest).display().to_string();
            }
        }
        (words, into)
    }

    /// Runs it without a terminal, with this on stdin.
    pub(super) fn ends(&mut self, test: &Test, text: &str, code: i32) -> Ended {
        let (words, into) = self.next(test, text);
        let mut command = test.command(test.program());
        command.args(words);
        let directory = self.directory.clone().unwrap_or_else(|| test.dir.clone());
        let mut run = test.start(command.current_dir(&directory));
        run.close();
        let ended = run.end();
        assert_eq!(ended.code, code, "{}: `{text}`\n{ended}", self.file);
        if let Some(file) = into {
            std::fs::write(directory.join(file), &ended.stdout).unwrap();
        }
        ended
    }

    pub(super) fn ok(&mut self, test: &Test, text: &str) -> Ended {
        self.ends(test, text, 0)
    }

    /// Runs it on a terminal, and answers: a value that is not shown is typed after the echo is off.
    pub(super) fn asks(&mut self, test: &Test, text: &str, answers: &[(&str, &str)]) -> String {
        let (words, _) = self.next(test, text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut terminal = test.terminal(&words);
        for (question, answer) in answers {
            answer_one(&mut terminal, question, answer);
        }
        let (code, screen) = terminal.end();
        assert_eq!(code, 0, "{}: `{text}`\n{screen}", self.file);
        screen.replace('\r', "")
    }
}

fn answer_one(terminal: &mut Terminal<'_>, question: &str, answer: &str) {
    terminal.expect(question);
    if ["passphrase", "once more", "value of"]
        .iter()
        .any(|word| question.contains(word))
    {
        terminal.enter_hidden(answer);
    } else {
        terminal.enter(answer);
    }
}

/// Words as a shell has them, as far as documents use that.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            '"' | '$' | '`' | '|' | ';' | '&' if !quoted => panic!("not understood: {line}"),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "{line}");
    words.extend(word);
    words
}
