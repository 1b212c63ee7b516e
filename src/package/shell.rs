//! A small part of shell syntax: enough to see which command a `sh -c` string starts.
//!
//! Nothing is expanded: a string with variables, patterns, redirections or several commands is not
//! split, only searched for launchers.

/// The words of a string that is one plain command; none if a shell would do more with it.
pub(super) fn plain(script: &str) -> Option<Vec<String>> {
    let mut commands = commands(script);
    let only = commands
        .pop()
        .filter(|command| commands.is_empty() && !command.expands)?;
    Some(only.words)
}

/// All words of a script.
pub(super) fn words(script: &str) -> Vec<String> {
    let commands = commands(script).into_iter();
    commands.flat_map(|command| command.words).collect()
}

/// One command of a script.
#[derive(Debug, Default)]
pub(super) struct ShellCommand {
    pub words: Vec<String>,
    /// Whether a shell would expand or redirect some of it.
    pub expands: bool,
}

/// All commands of a script, also nested ones. Keywords (`if`, `do`) are words here.
pub(super) fn commands(script: &str) -> Vec<ShellCommand> {
    let mut all = Vec::new();
    let mut command = ShellCommand::default();
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let text = word.get_or_insert_default();
                text.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let text = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    command.expands |= c == '$' || c == '`';
                    // Only these four are escaped inside double quotes.
                    let escaped = c == '\\' && chars.peek().is_some_and(|c| "\"\\$`".contains(*c));
                    text.extend(if escaped { chars.next() } else { Some(c) });
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            ' ' | '\t' => command.words.extend(word.take()),
            ';' | '&' | '|' | '\n' | '(' | ')' | '`' => {
                command.words.extend(word.take());
                push(&mut all, std::mem::take(&mut command));
            }
            '<' | '>' | '#' if word.is_none() || c != '#' => {
                command.expands = true;
                command.words.extend(word.take());
            }
            _ => {
                command.expands |= "$*?~{[".contains(c);
                word.get_or_insert_default().push(c);
            }
        }
    }
    command.words.extend(word);
    push(&mut all, command);
    all
}

fn push(all: &mut Vec<ShellCommand>, command: ShellCommand) {
    if !command.words.is_empty() {
        all.push(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_plain_command_is_split() {
        let words = |script| plain(script).map(|words| words.join("|"));
        for (script, expected) in [
            ("npx -y server", Some("npx|-y|server")),
            ("exec 'a b' \"c d\" e\\ f", Some("exec|a b|c d|e f")),
            ("X=1 npx 'it'\\''s'", Some("X=1|npx|it's")),
            ("  npx\tx ; ", Some("npx|x")),
            ("a \"\"", Some("a|")),
            ("a \"q\\\"q \\n\"", Some("a|q\"q \\n")),
            ("cd x && npx y", None),
            ("npx $X", None),
            ("npx \"$X\"", None),
            ("npx ~/x", None),
            ("npx x > log", None),
            ("a; b", None),
            ("$(which npx) x", None),
            ("", None),
        ] {
            assert_eq!(words(script).as_deref(), expected, "{script}");
        }
    }
}
