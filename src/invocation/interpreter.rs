//! Which files of code the arguments of an interpreter name.

use super::interpreters::{INTERPRETERS, Interpreter, PROJECT, RUNNERS};
use crate::package::program_name;

/// What the arguments of a program name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeArguments {
    /// Files of code, as written.
    pub(super) files: Vec<String>,
    /// Paths and files with the ending of code among the arguments of another program, as written:
    /// `mcp-proxy /x/server`. They may be data.
    pub(super) mentioned: Vec<String>,
    /// The module after `-m`.
    pub(super) module: Option<String>,
    /// The working directory that the arguments set.
    pub(super) directory: Option<String>,
    /// Whether a project in the working directory decides what runs.
    pub(super) of_project: bool,
    /// What decides what runs although no argument names it.
    pub(super) uncovered: Option<&'static str>,
}

impl CodeArguments {
    /// The paths of files of code as written, and whether the command needs them.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, bool)> {
        // An argument has no NUL, so an address stays whole.
        let separator = |word: &String| if is_url(word) { '\0' } else { ':' };
        let needed = self.files.iter();
        let needed = needed.flat_map(move |word| word.split(separator(word)));
        let mentioned = self.mentioned.iter().map(|file| (file.as_str(), false));
        needed.map(|path| (path, true)).chain(mentioned)
    }

    /// Adds what a wrapper names.
    pub(super) fn add(&mut self, wrapper: Self) {
        self.files.extend(wrapper.files);
        self.mentioned.extend(wrapper.mentioned);
        self.module = self.module.take().or(wrapper.module);
        self.directory = self.directory.take().or(wrapper.directory);
        self.of_project |= wrapper.of_project;
        self.uncovered = self.uncovered.or(wrapper.uncovered);
    }
}

/// Reads the arguments of a command without wrappers.
pub(super) fn code_arguments(words: &[String]) -> CodeArguments {
    let Some((program, rest)) = words.split_first() else {
        return CodeArguments::default();
    };
    let name = program_name(program);
    let name = unversioned(&name);
    let interpreter = INTERPRETERS.iter().find(|one| one.names.contains(&name));
    let mut found = match interpreter {
        Some(one) => arguments(one, rest),
        None => CodeArguments {
            mentioned: mentioned(rest),
            ..CodeArguments::default()
        },
    };
    let runs_project = RUNNERS.iter().any(|(runner, verbs)| {
        let has_verb = || rest.iter().any(|word| verbs.contains(&word.as_str()));
        *runner == name && (verbs.is_empty() || has_verb())
    });
    // `server.py:app`
    let is_named = |file: &String| file.split(':').any(is_script);
    let is_chosen = |file: &String| is_named(file) || is_url(file) || file.starts_with('/');
    if runs_project && found.module.is_none() && !found.files.iter().any(is_chosen) {
        found.files.retain(|file| is_path(file));
        found.mentioned = mentioned(rest);
        found.of_project = true;
        found.uncovered = Some(PROJECT);
    }
    found
}

/// `python3` for `python3.12`.
fn unversioned(name: &str) -> &str {
    match name.split_once('.') {
        Some((start, rest)) if rest.bytes().all(|b| b.is_ascii_digit()) => start,
        _ => name,
    }
}

fn arguments(of: &Interpreter, rest: &[String]) -> CodeArguments {
    let mut found = CodeArguments {
        uncovered: Some(of.covers_not),
        ..CodeArguments::default()
    };
    let mut rest = rest.iter();
    let mut words = of.words.iter().peekable();
    let mut ended = false;
    while let Some(word) = rest.next() {
        if word == "--" {
            ended = true;
            continue;
        }
        if !ended && word.starts_with('-') && word.len() > 1 {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let has = |list: &[&str]| list.contains(&flag);
            if has(of.code) {
                return found;
            }
            if has(of.modules) {
                found.module = value.or_else(|| rest.next().cloned());
                return found;
            }
            if has(of.files) {
                found.files.extend(value.or_else(|| rest.next().cloned()));
                if flag == "-jar" {
                    return found;
                }
            } else if has(of.directory) {
                found.directory = value.or_else(|| rest.next().cloned());
            } else if has(of.take) && value.is_none() {
                rest.next();
            }
            continue;
        }
        if words.peek() == Some(&&word.as_str()) {
            words.next();
            continue;
        }
        if of.positional {
            found.files.push(word.clone());
        }
        return found;
    }
    found
}

/// What may be code of the words of a program: `/x/server.py:app`, `--entry=x.js`, `/x/server`.
fn mentioned(words: &[String]) -> Vec<String> {
    let value = |word| match str::split_once(word, '=') {
        Some((_, value)) if word.starts_with('-') => value,
        _ => word,
    };
    let values = words.iter().map(|word| value(word));
    let parts = values
        .filter(|value| !is_url(value))
        .flat_map(|value| value.split(':'));
    parts
        .filter(|part| is_path(part))
        .map(str::to_owned)
        .collect()
}

/// Whether a word has the ending of a file of code.
pub(super) fn is_script(word: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "py", "js", "mjs", "cjs", "ts", "mts", "cts", "tsx", "jsx", "rb", "pl", "php", "lua", "sh",
        "jar", "dll", "pyz",
    ];
    word.rsplit_once('.')
        .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Whether a word is a path or the name of a script, and not of a command or a package.
pub(super) fn is_path(word: &str) -> bool {
    word.contains('/') || is_script(word)
}

/// Whether a word names something on the network.
pub(super) fn is_url(word: &str) -> bool {
    ["http://", "https://", "jsr:", "npm:", "data:", "node:"]
        .iter()
        .any(|scheme| word.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> CodeArguments {
        let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
        code_arguments(&words)
    }

    #[test]
    fn scripts_and_modules() {
        let files = |command: &str| of(command).files;
        assert_eq!(files("node /x/server.js --port 1"), ["/x/server.js"]);
        assert_eq!(
            files("node -r /x/hook.js --import=tsx --title t ./s.ts a"),
            ["/x/hook.js", "tsx", "./s.ts"]
        );
        assert_eq!(
            files("python3.12 -u -W ignore server.py -m x"),
            ["server.py"]
        );
        assert_eq!(files("bash -lc echo"), [""; 0]);
        assert_eq!(files("java -cp /a.jar -jar /b.jar x"), ["/a.jar", "/b.jar"]);
        assert_eq!(files("dotnet exec /x.dll"), ["/x.dll"]);
        assert_eq!(files("deno run -A /x.ts"), ["/x.ts"]);
        assert_eq!(files("mcp-server-filesystem ."), [""; 0]);
        assert_eq!(
            of("python -m pkg.server --x").module.as_deref(),
            Some("pkg.server")
        );
        let uv = of("uv --directory /p run --with mcp server.py");
        assert_eq!(
            (uv.files, uv.directory.as_deref()),
            (vec!["server.py".into()], Some("/p"))
        );
        assert!(!uv.of_project);
    }

    #[test]
    fn a_program_may_run_what_it_names() {
        let named = |command: &str| of(command).mentioned;
        assert_eq!(
            named("serve run /x/server.py:app -t stdio"),
            ["/x/server.py"]
        );
        assert_eq!(named("mcp-proxy -- /x/server"), ["/x/server"]);
        assert_eq!(
            of("fastmcp run -t stdio server.py:app").files,
            ["server.py:app"]
        );
        assert_eq!(of("fastmcp run -m pkg").module.as_deref(), Some("pkg"));
        assert!(of("fastmcp run").of_project && of("fastmcp run fastmcp.json").of_project);
        assert!(!of("fastmcp run /x/fastmcp.json").of_project);
        assert!(!of("fastmcp run https://h/mcp").of_project);
        let paths = |command: &str| -> Vec<String> {
            let found = of(command);
            found.paths().map(|(path, _)| path.to_owned()).collect()
        };
        assert_eq!(paths("fastmcp run https://h/mcp"), ["https://h/mcp"]);
        assert_eq!(paths("java -cp /a.jar:/b.jar X"), ["/a.jar", "/b.jar"]);
        assert_eq!(named("uv run --with mcp[cli] mcp run /x/s.py"), ["/x/s.py"]);
        assert_eq!(named("uv run python /x/s.py"), ["/x/s.py"]);
        assert_eq!(named("poetry run python s.py"), ["s.py"]);
        assert_eq!(named("serve --entry=/x/s.mjs https://h/x.js"), ["/x/s.mjs"]);
        // The arguments of a script are its own.
        assert_eq!(named("node /x/server.js /data/other.js"), [""; 0]);
        assert_eq!(named("uv run /x/server.py other.py"), [""; 0]);
    }

    #[test]
    fn projects_decide_what_a_runner_starts() {
        for command in [
            "uv run mcp-server",
            "npm start",
            "npm run --silent serve",
            "bun run serve",
            "make",
            "cargo run -q",
        ] {
            let found = of(command);
            assert!(
                found.of_project && found.files.is_empty(),
                "{command}: {found:?}"
            );
        }
        for command in [
            "npm --version",
            "uv run server.py",
            "node run",
            "bun server.ts",
        ] {
            assert!(!of(command).of_project, "{command}");
        }
    }
}
