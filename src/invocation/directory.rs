//! What a command uses its working directory for.

use super::interpreter::{CodeArguments, code_arguments, is_path, is_script, is_url};
use crate::package::{self, ParsedCommand, Registry};
use crate::policy::{Policy, argument};

/// What a command uses its working directory for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryUse {
    /// To find code: this word is a relative path, or the name of a project's program.
    Code(String),
    /// To find the module after `-m`, which may also be installed elsewhere.
    Module,
    /// To find data: an argument is a relative path.
    Data,
    /// For nothing that the command shows.
    Unused,
}

/// What a command uses its working directory for, as far as its words show.
pub fn directory_use(command: &[String]) -> DirectoryUse {
    let launch = package::parse(command);
    let words = launch_words(&launch);
    let first = words.first().map_or("", String::as_str);
    if first.contains('/') && !first.starts_with('/') && launch.registry == Registry::Local {
        return DirectoryUse::Code(first.to_owned());
    }
    let mut code = code_arguments(&words);
    code.add(code_arguments(&launch.wrapper));
    let is_fixed = code
        .directory
        .as_deref()
        .is_some_and(|dir| dir.starts_with('/'));
    let is_relative = |word: &&String| {
        is_path(word) && !word.starts_with(['/', '~']) && !is_url(word) && !word.contains('$')
    };
    if !is_fixed {
        if let Some(word) = code.files.iter().find(is_relative) {
            return DirectoryUse::Code(word.clone());
        }
        if code.of_project {
            return DirectoryUse::Code(first.to_owned());
        }
        if code.module.is_some() {
            return DirectoryUse::Module;
        }
    }
    let is_data = |word: &String| {
        let value = word
            .split_once('=')
            .map_or(word.as_str(), |(_, value)| value);
        let is_absolute = value.starts_with(['/', '~']);
        let is_mentioned = || is_script(value) && code.mentioned.iter().any(|file| file == value);
        !is_absolute && is_mentioned()
            || [".", ".."].contains(&value)
            || value.starts_with("./")
            || value.starts_with("../")
    };
    // `dotenvx run -f .env --`: wrappers read their settings there.
    let is_settings = |word: &String| word.starts_with(".env") || is_data(word);
    if launch.args.iter().any(is_data) || launch.wrapper.iter().any(is_settings) {
        return DirectoryUse::Data;
    }
    DirectoryUse::Unused
}

/// The words that say which code runs. A package may itself be an interpreter (`tsx`), or run a file (`fastmcp`).
pub(super) fn launch_words(launch: &ParsedCommand) -> Vec<String> {
    match (&launch.package, launch.registry) {
        (Some(name), Registry::Npm | Registry::Pypi) => {
            let program = launch.entry.as_ref().unwrap_or(name);
            std::iter::once(program)
                .chain(&launch.args)
                .cloned()
                .collect()
        }
        (Some(_), _) => Vec::new(),
        (None, _) => launch.words.clone(),
    }
}

/// What the arguments of the command name. A pinned package may itself be an interpreter (`tsx`).
pub(super) fn code_of(policy: &Policy, launch: &ParsedCommand) -> CodeArguments {
    if launch.obstacle.is_some() && !policy.has_installed_package() {
        return code_arguments(&policy.command);
    }
    let mut code = code_arguments(&launch_words(launch));
    code.add(code_arguments(&launch.wrapper));
    code
}

/// Whether the client's workspace is anything but an argument of the server itself.
pub(super) fn workspace_decides(
    policy: &Policy,
    launch: &ParsedCommand,
    code: &CodeArguments,
) -> bool {
    let is_workspace = |word: &String| argument::workspace(word).is_some();
    let count = |words: &[String]| words.iter().filter(|word| is_workspace(word)).count();
    let all = count(&policy.command);
    if all == 0 {
        return false;
    }
    let named = code.files.iter().chain(&code.module).chain(&code.directory);
    if code.of_project || named.into_iter().any(is_workspace) {
        return true;
    }
    if launch.registry != Registry::Local || launch.obstacle.is_some() {
        return count(&launch.args) < all;
    }
    // An option before the script belongs to the interpreter.
    let is_code = |word: &String| code.files.contains(word) || code.module.as_ref() == Some(word);
    let start = launch.args.iter().rposition(is_code).map_or(0, |at| at + 1);
    count(launch.args.get(start..).unwrap_or_default()) < all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_data_or_nothing() {
        let of = |command: &str| {
            let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
            directory_use(&words)
        };
        let code = |word: &str| DirectoryUse::Code(word.to_owned());
        assert_eq!(of("node dist/index.js"), code("dist/index.js"));
        assert_eq!(of("./server --port 1"), code("./server"));
        assert_eq!(of("env A=1 python server.py"), code("server.py"));
        assert_eq!(of("npx -y tsx src/server.ts"), code("src/server.ts"));
        assert_eq!(of("uv run mcp-server"), code("uv"));
        assert_eq!(of("uv --directory /p run server.py"), DirectoryUse::Unused);
        assert_eq!(of("python -m server"), DirectoryUse::Module);
        assert_eq!(of("npx -y server-filesystem ."), DirectoryUse::Data);
        assert_eq!(of("npx -y server --root=./data"), DirectoryUse::Data);
        assert_eq!(of("npx -y server@1.2.3"), DirectoryUse::Unused);
        assert_eq!(of("node /x/server.js ./data"), DirectoryUse::Data);
        assert_eq!(of("docker run -i image"), DirectoryUse::Unused);
    }

    #[test]
    fn the_workspace_is_only_an_argument_of_the_server() {
        let decides = |command: &str| {
            let words = command.replace('W', argument::WORKSPACE);
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            let text = format!("version = 1\ncommand = {}\n", toml::Value::from(words));
            let policy = crate::policy::load::parse_text(&text).unwrap();
            let launch = package::parse(&policy.command);
            let code = code_of(&policy, &launch);
            workspace_decides(&policy, &launch, &code)
        };
        for command in [
            "node /x/s.js W",
            "node /x/s.js --root=W",
            "npx -y s@1.2.3 W",
            "uvx s==1 --root W",
            "python -m server W",
            "docker run -i image W",
            "/opt/server --root=W",
            "op run -- npx -y s@1.2.3 W",
            "npx -y s@1.2.3",
        ] {
            assert!(!decides(command), "{command}");
        }
        for command in [
            "node W",
            "node --require W /x/s.js",
            "python -m W",
            "uv --directory W run server",
            "uvx --from W server",
            "npx -y W",
            "npx --prefix W -y s@1.2.3",
            "docker run W",
            "docker run -v W image",
            "env -C W /opt/server",
            "npm --prefix W start",
            "ssh W npx s@1.2.3",
        ] {
            assert!(decides(command), "{command}");
        }
    }
}
