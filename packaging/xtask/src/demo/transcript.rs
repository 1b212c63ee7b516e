//! What the demo said: on the terminal as it happens, and once more for the picture, without what
//! differs between two runs or two machines.

use std::io::IsTerminal as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::shell::hex;

/// A line of the story.
pub enum Line {
    /// A sentence to the reader.
    Sentence(String),
    /// A command that the reader could type.
    Command(String),
    /// What it said.
    Output(String),
}

/// The longest line of a sentence (characters).
const WIDTH: usize = 92;

#[derive(Default)]
pub struct Transcript {
    pub lines: Vec<Line>,
    /// How many lines of output the picture still takes.
    room: usize,
    /// Words that differ between runs, in the order in which they came.
    seen: Vec<String>,
}

impl Transcript {
    pub fn sentence(&mut self, text: &str) {
        println!();
        for line in wrapped(text) {
            println!("{}", coloured("1", &line));
            self.lines.push(Line::Sentence(line));
        }
    }

    /// `room`: how many lines of its output the picture shows.
    pub fn command(&mut self, text: &str, room: usize) {
        println!("{} {text}", coloured("32", "$"));
        self.lines.push(Line::Command(text.to_owned()));
        self.room = room;
    }

    pub fn output(&mut self, text: &str, home: &Path) {
        for line in text.lines() {
            println!("  {line}");
        }
        // An empty line is worth none of the few in the picture.
        let full = text.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<String> = full.map(|line| self.fixed(line, home)).collect();
        for line in lines {
            match self.room {
                0 => return,
                1 => self.lines.push(Line::Output("…".to_owned())),
                _ => self.lines.push(Line::Output(line)),
            }
            self.room -= 1;
        }
    }

    /// The line as on any machine at any time.
    fn fixed(&mut self, line: &str, home: &Path) -> String {
        let line = line.replace(&home.display().to_string(), "~");
        let mut shown = String::new();
        let mut before = String::new();
        for word in split(&line) {
            let fixed = if is_hex(word) {
                self.instead(word)
            } else if is_date(word) {
                "2026-11-02".to_owned()
            } else if is_time(word) {
                "14:03:07".to_owned()
            } else if has_form(word, "00:00") {
                "14:03".to_owned()
            } else if let Some((number, hash)) =
                word.split_once(':').filter(|(_, hash)| is_hex(hash))
            {
                format!("{number}:{}", self.instead(hash))
            } else if is_number(word) && matches!(&*before, "supervisor" | "pid" | "process") {
                "4711".to_owned()
            } else {
                word.to_owned()
            };
            if word.chars().all(char::is_alphanumeric) {
                word.clone_into(&mut before);
            }
            shown.push_str(&fixed);
        }
        with_duration(&shown)
    }

    /// Another hash of the same length, the same for the same word.
    fn instead(&mut self, word: &str) -> String {
        let number = self.seen.iter().position(|seen| seen == word);
        let number = number.unwrap_or_else(|| {
            self.seen.push(word.to_owned());
            self.seen.len() - 1
        });
        let hash = Sha256::digest(format!("demo {number}"));
        let hex = hex(&hash);
        hex.get(..word.len()).unwrap_or(&hex).to_owned()
    }
}

/// The text with colours, if a terminal shows it.
fn coloured(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            word.clone_into(line);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The words of a line and what is between them.
fn split(line: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | ':' | '.' | '_');
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first));
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts
}

fn is_hex(word: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    word.len() >= 8 && word.chars().all(is_digit) && word.contains(|c: char| c.is_ascii_digit())
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

fn has_form(word: &str, form: &str) -> bool {
    let is_same = |(c, f): (char, char)| if f == '0' { c.is_ascii_digit() } else { c == f };
    word.len() == form.len() && word.chars().zip(form.chars()).all(is_same)
}

fn is_date(word: &str) -> bool {
    has_form(word, "0000-00-00")
}

fn is_time(word: &str) -> bool {
    has_form(word.split('.').next().unwrap_or_default(), "00:00:00")
}

/// `123 ms` is a number of milliseconds in every run, but not the same.
fn with_duration(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_unit = |word: Option<&&str>| {
        word.is_some_and(|word| word.trim_end_matches([',', ';', ')']) == "ms")
    };
    let fixed = words.iter().enumerate().map(|(n, word)| {
        let number = word.trim_start_matches('(');
        if is_number(number) && is_unit(words.get(n + 1)) {
            word.replace(number, "12")
        } else {
            (*word).to_owned()
        }
    });
    fixed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_give_the_same_line() {
        let one = "rotated: t (fingerprint 1f2e3d4c5b6a) 2026-11-28 01:02:03.456 in 87 ms (supervisor 99) at 01:41 UTC 22:0a1b2c3d4e5f";
        let two = "rotated: t (fingerprint 9a8b7c6d5e4f) 2027-01-02 23:59:59.001 in 5 ms (supervisor 123456) at 23:59 UTC 22:99887766554f";
        let fixed = |line: &str| Transcript::default().fixed(line, Path::new("/tmp/home"));
        assert_eq!(fixed(one), fixed(two));
        assert!(fixed(one).contains("14:03:07 in 12 ms (supervisor 4711)"));
    }

    #[test]
    fn equal_hashes_stay_equal_and_others_differ() {
        let mut transcript = Transcript::default();
        let line = "aaaa1111 bbbb2222 aaaa1111 /tmp/home/x";
        let fixed = transcript.fixed(line, Path::new("/tmp/home"));
        let words: Vec<&str> = fixed.split(' ').collect();
        assert_eq!(words[0], words[2]);
        assert_ne!(words[0], words[1]);
        assert_eq!(words[3], "~/x");
    }

    #[test]
    fn a_word_that_is_no_hash_stays() {
        for word in ["deadline", "facade", "version 1.2.3", "3 files"] {
            assert_eq!(Transcript::default().fixed(word, Path::new("/h")), word);
        }
    }
}
