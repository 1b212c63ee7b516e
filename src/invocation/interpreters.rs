//! The interpreters: which of their arguments are code.
//!
//! The flags are those that take the next argument; any other flag stands alone. Sources: the manuals
//! of node 22, python 3.13, bash, ruby, perl, php, lua, java, dotnet, deno and bun; the help of `uv run` and
//! `fastmcp run`.

/// A program that runs code named by its arguments.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub(super) names: &'static [&'static str],
    /// Further words before the script, which may be left out if `optional`.
    pub(super) words: &'static [&'static str],
    /// Flags with a value that is not code.
    pub(super) take: &'static [&'static str],
    /// Flags with a file of code, or of settings that load code.
    pub(super) files: &'static [&'static str],
    /// Flags with code as text: no script follows.
    pub(super) code: &'static [&'static str],
    /// Flags with the name of a module: no script follows.
    pub(super) modules: &'static [&'static str],
    /// Flags with the working directory.
    pub(super) directory: &'static [&'static str],
    /// Whether the first other argument is a script.
    pub(super) positional: bool,
    /// What decides what runs although no argument names it.
    pub(super) covers_not: &'static str,
}

const IMPORTS: &str = "files that the script imports are not covered";
const SHELL: &str = "programs that the shell starts are not covered";
pub(super) const PROJECT: &str = "files and dependencies of the project are not covered";

const NONE: Interpreter = Interpreter {
    names: &[],
    words: &[],
    take: &[],
    files: &[],
    code: &[],
    modules: &[],
    directory: &[],
    positional: true,
    covers_not: IMPORTS,
};

pub(super) const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["node", "nodejs", "electron", "tsx", "ts-node"],
        take: &[
            "-C",
            "--conditions",
            "--input-type",
            "--title",
            "--tsconfig",
            "-P",
            "--project",
        ],
        files: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--env-file",
            "--env-file-if-exists",
            "--experimental-config-file",
        ],
        code: &["-e", "--eval", "-p", "--print", "-pe"],
        ..NONE
    },
    Interpreter {
        names: &["python", "python2", "python3", "pypy", "pypy3"],
        take: &["-W", "-X", "--check-hash-based-pycs"],
        code: &["-c"],
        modules: &["-m"],
        ..NONE
    },
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"],
        take: &["-o", "+o", "-O", "+O"],
        files: &["--rcfile", "--init-file"],
        code: &[
            "-c",
            "-lc",
            "-ec",
            "-ic",
            "-xc",
            "-lic",
            "-ilc",
            "--command",
        ],
        covers_not: SHELL,
        ..NONE
    },
    Interpreter {
        names: &["ruby", "jruby"],
        take: &["-I", "-C", "-E", "-W"],
        files: &["-r"],
        code: &["-e"],
        ..NONE
    },
    Interpreter {
        names: &["perl"],
        take: &["-I"],
        code: &["-e", "-E"],
        ..NONE
    },
    Interpreter {
        names: &["php"],
        take: &["-d", "-z"],
        files: &["-c"],
        code: &["-r"],
        ..NONE
    },
    Interpreter {
        names: &["lua", "luajit"],
        take: &["-l"],
        code: &["-e"],
        ..NONE
    },
    Interpreter {
        names: &["java"],
        take: &[
            "--add-modules",
            "-m",
            "--module",
            "--add-opens",
            "--add-exports",
        ],
        files: &[
            "-jar",
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
        ],
        positional: false,
        ..NONE
    },
    Interpreter {
        names: &["dotnet"],
        words: &["exec"],
        take: &[
            "--runtimeconfig",
            "--depsfile",
            "--additionalprobingpath",
            "--fx-version",
        ],
        ..NONE
    },
    Interpreter {
        names: &["deno"],
        words: &["run"],
        take: &["--reload-from", "-L", "--log-level", "--location"],
        files: &["-c", "--config", "--import-map", "--preload", "--env-file"],
        ..NONE
    },
    Interpreter {
        names: &["bun"],
        words: &["run"],
        take: &["--filter", "--port"],
        files: &["-r", "--preload", "-c", "--config", "--env-file"],
        code: &["-e", "--eval", "-p", "--print"],
        directory: &["--cwd"],
        ..NONE
    },
    Interpreter {
        names: &["uv"],
        words: &["run"],
        take: &[
            "--with",
            "--python",
            "-p",
            "--package",
            "--index",
            "--default-index",
            "--extra",
            "--group",
            "--only-group",
            "--no-group",
            "--index-url",
            "-i",
            "--extra-index-url",
            "--project",
            "--cache-dir",
            "--config-setting",
            "--link-mode",
            "--resolution",
            "--prerelease",
            "--color",
            "--refresh-package",
            "--upgrade-package",
            "-P",
        ],
        files: &[
            "--env-file",
            "--with-requirements",
            "--config-file",
            "--with-editable",
        ],
        modules: &["-m", "--module"],
        directory: &["--directory"],
        covers_not: PROJECT,
        ..NONE
    },
    Interpreter {
        names: &["fastmcp", "mcp"],
        words: &["run"],
        take: &[
            "-t",
            "--transport",
            "--host",
            "-p",
            "--port",
            "--path",
            "-l",
            "--log-level",
            "--python",
            "--with",
            "--reload-dir",
        ],
        files: &["--with-requirements", "--server-spec"],
        modules: &["-m", "--module"],
        directory: &["--project"],
        ..NONE
    },
];

/// Programs that start what a project in the working directory names.
pub(super) const RUNNERS: &[(&str, &[&str])] = &[
    ("npm", &["run", "run-script", "start", "exec"]),
    ("pnpm", &["run", "start", "exec"]),
    ("yarn", &["run", "start", "exec"]),
    ("bun", &["run", "start"]),
    ("uv", &["run"]),
    ("fastmcp", &["run"]),
    ("poetry", &["run"]),
    ("pipenv", &["run"]),
    ("pdm", &["run"]),
    ("hatch", &["run"]),
    ("rye", &["run"]),
    ("pixi", &["run"]),
    ("cargo", &["run"]),
    ("go", &["run"]),
    ("dotnet", &["run"]),
    ("mvn", &[]),
    ("gradle", &[]),
    ("make", &[]),
    ("just", &[]),
    ("task", &[]),
];
