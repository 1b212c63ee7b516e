//! The launchers: which words start one, and which of its flags take a value.
//!
//! One line per launcher. Sources: `npx-cli.js` of npm 11, `uvx --help` of uv 0.13,
//! `pipx run --help`, `docker run --help`, `bun x --help`, `pnpm dlx --help`, `deno run --help`,
//! `go help run`. A flag that is in no list is taken as its launcher takes it.

use super::Registry;

/// Which flags of a launcher take the next argument.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flags {
    /// These do; others have no value.
    Take(&'static [&'static str]),
    /// These have no value; others take the next argument, unless it is a flag itself.
    Alone(&'static [&'static str]),
}

#[derive(Debug)]
pub(super) struct Launcher {
    /// The words that start it, possibly with flags between them.
    pub words: &'static [&'static str],
    pub registry: Registry,
    /// Flags that name the package, so that the first argument is only its program.
    pub package: &'static [&'static str],
    /// Flags that name further packages.
    pub with: &'static [&'static str],
    /// Flags that pass a script to a shell.
    pub shell: &'static [&'static str],
    pub flags: Flags,
}

pub(super) const LAUNCHERS: &[Launcher] = &[
    npm(&["npx"]),
    npm(&["npm", "exec"]),
    npm(&["npm", "x"]),
    npm(&["pnpm", "dlx"]),
    npm(&["pnpx"]),
    npm(&["pnx"]),
    npm(&["yarn", "dlx"]),
    Launcher {
        flags: Flags::Take(BUN_TAKE),
        ..npm(&["bunx"])
    },
    Launcher {
        flags: Flags::Take(BUN_TAKE),
        ..npm(&["bun", "x"])
    },
    uv(&["uvx"]),
    uv(&["uv", "tool", "run"]),
    uv(&["uv", "x"]),
    Launcher {
        package: &[],
        ..uv(&["uv", "run"])
    },
    Launcher {
        package: &["--spec"],
        with: &["--with"],
        flags: Flags::Take(&["--python", "--pip-args", "--index-url", "-i", "--backend"]),
        ..uv(&["pipx", "run"])
    },
    image(&["docker", "run"]),
    image(&["docker", "container", "run"]),
    image(&["podman", "run"]),
    image(&["podman", "container", "run"]),
    image(&["nerdctl", "run"]),
    image(&["container", "run"]),
    other(&["deno", "run"], Registry::Url, DENO_TAKE),
    other(&["deno", "x"], Registry::Url, DENO_TAKE),
    other(&["dx"], Registry::Url, DENO_TAKE),
    nix(&["nix", "run"]),
    nix(&["nix", "shell"]),
    nix(&["nix", "develop"]),
    Launcher {
        package: &["-p", "--packages"],
        ..nix(&["nix-shell"])
    },
    other(
        &["go", "run"],
        Registry::Go,
        &["-C", "-exec", "-mod", "-tags", "-ldflags"],
    ),
    other(
        &["jbang"],
        Registry::Url,
        &["--java", "-j", "--deps", "--repos", "-R", "-D", "--main"],
    ),
    other(
        &["dnx"],
        Registry::Nuget,
        &["--version", "--source", "--add-source", "--configfile"],
    ),
    other(
        &["dotnet", "tool", "exec"],
        Registry::Nuget,
        &["--version", "--source", "--configfile"],
    ),
];

const fn npm(words: &'static [&'static str]) -> Launcher {
    Launcher {
        words,
        registry: Registry::Npm,
        package: &["-p", "--package"],
        with: &[],
        shell: &["-c", "--call"],
        flags: Flags::Alone(NPM_ALONE),
    }
}

const fn uv(words: &'static [&'static str]) -> Launcher {
    Launcher {
        words,
        registry: Registry::Pypi,
        package: &["--from"],
        with: &["--with", "-w"],
        shell: &[],
        flags: Flags::Take(UV_TAKE),
    }
}

const fn nix(words: &'static [&'static str]) -> Launcher {
    Launcher {
        words,
        registry: Registry::Nix,
        package: &[],
        with: &[],
        shell: &[],
        flags: Flags::Alone(NIX_ALONE),
    }
}

const fn image(words: &'static [&'static str]) -> Launcher {
    let flags = Flags::Alone(IMAGE_ALONE);
    Launcher {
        words,
        registry: Registry::Image,
        package: &[],
        with: &[],
        shell: &[],
        flags,
    }
}

const fn other(
    words: &'static [&'static str],
    registry: Registry,
    take: &'static [&'static str],
) -> Launcher {
    Launcher {
        words,
        registry,
        package: &[],
        with: &[],
        shell: &[],
        flags: Flags::Take(take),
    }
}

const BUN_TAKE: &[&str] = &["--registry", "--cwd", "--config", "-c"];

const NPM_ALONE: &[&str] = &[
    "-y",
    "--yes",
    "-n",
    "--no",
    "-q",
    "--quiet",
    "-s",
    "--silent",
    "-d",
    "-dd",
    "-ddd",
    "--verbose",
    "-f",
    "--force",
    "-g",
    "--global",
    "--no-install",
    "--ignore-existing",
    "--always-spawn",
    "--shell-auto-fallback",
    "--prefer-offline",
    "--prefer-online",
    "--offline",
    "--ignore-scripts",
    "--workspaces",
    "--ws",
    "-ws",
    "--include-workspace-root",
    "--iwr",
    "--legacy-peer-deps",
    "--strict-peer-deps",
    "--engine-strict",
    "--no-audit",
    "--audit",
    "--no-fund",
    "--fund",
    "--no-update-notifier",
    "--update-notifier",
    "--progress",
    "--no-progress",
    "--color",
    "--no-color",
    "--json",
    "--version",
    "-v",
    "--help",
    "-h",
    "--strict-ssl",
    "--no-strict-ssl",
    "--foreground-scripts",
    "--dry-run",
    "--timing",
    "--unicode",
    "--usage",
    "--package-lock",
    "--no-package-lock",
    "--shell-mode",
    "--allow-build",
    "--ignore-workspace",
    "--quiet-install",
];

const UV_TAKE: &[&str] = &[
    "-p",
    "--python",
    "--with-editable",
    "--with-requirements",
    "-c",
    "--constraints",
    "--constraint",
    "-b",
    "--build-constraints",
    "--overrides",
    "--python-platform",
    "--torch-backend",
    "--index",
    "--default-index",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--index-strategy",
    "--keyring-provider",
    "-P",
    "--upgrade-package",
    "--resolution",
    "--prerelease",
    "--prerelease-package",
    "--fork-strategy",
    "--exclude-newer",
    "--exclude-newer-package",
    "--reinstall-package",
    "--link-mode",
    "-C",
    "--config-setting",
    "--config-settings-package",
    "--no-build-package",
    "--no-binary-package",
    "--cache-dir",
    "--refresh-package",
    "--color",
    "--allow-insecure-host",
    "--directory",
    "--project",
    "--config-file",
    "--python-preference",
    "--hash",
    "--upgrade-group",
    "--extra",
    "--no-extra",
    "--group",
    "--no-group",
    "--only-group",
    "--package",
    "--env-file",
];

const IMAGE_ALONE: &[&str] = &[
    "-i",
    "--interactive",
    "-t",
    "--tty",
    "-d",
    "--detach",
    "--rm",
    "--init",
    "--privileged",
    "-P",
    "--publish-all",
    "--read-only",
    "-q",
    "--quiet",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--sig-proxy",
    "--disable-content-trust",
    "--replace",
    "--no-hosts",
    "--no-hostname",
    "--tls-verify",
    "--http-proxy",
    "--use-api-socket",
    "--help",
    "--rmi",
    "--env-host",
];

const NIX_ALONE: &[&str] = &[
    "--impure",
    "--refresh",
    "--offline",
    "--no-write-lock-file",
    "--accept-flake-config",
    "--ignore-environment",
    "-i",
    "--pure",
    "-L",
    "--print-build-logs",
    "--verbose",
    "-v",
];

const DENO_TAKE: &[&str] = &[
    "-c",
    "--config",
    "--import-map",
    "--lock",
    "--cert",
    "--ext",
    "--location",
    "--seed",
    "--inspect",
    "--preload",
    "--require",
    "-p",
    "--package",
];

/// Programs that start another one and change little: the words, and whether it follows `--`.
pub(super) struct Wrapper {
    pub words: &'static [&'static str],
    pub after_dashes: bool,
    /// Whether it also starts when the package is pinned, because it gives the server something.
    pub is_kept: bool,
    pub take: &'static [&'static str],
}

pub(super) const WRAPPERS: &[Wrapper] = &[
    wrapper(&["cmd"], &[]),
    wrapper(&["nohup"], &[]),
    wrapper(&["exec"], &["-a"]),
    wrapper(&["command"], &[]),
    wrapper(&["winpty"], &[]),
    wrapper(&["nice"], &["-n"]),
    wrapper(&["sudo"], &["-u", "-g"]),
    wrapper(&["stdbuf"], &["-i", "-o", "-e"]),
    Wrapper {
        after_dashes: true,
        ..wrapper(&["mcpwrap", "run"], &[])
    },
    kept(&["op", "run"]),
    kept(&["doppler", "run"]),
    kept(&["infisical", "run"]),
    kept(&["dotenvx", "run"]),
    kept(&["mise", "exec"]),
    kept(&["mise", "x"]),
    kept(&["direnv", "exec"]),
];

const fn wrapper(words: &'static [&'static str], take: &'static [&'static str]) -> Wrapper {
    Wrapper {
        words,
        after_dashes: false,
        is_kept: false,
        take,
    }
}

const fn kept(words: &'static [&'static str]) -> Wrapper {
    Wrapper {
        words,
        after_dashes: true,
        is_kept: true,
        take: &[],
    }
}

/// Packages that only connect to a remote server.
pub(super) const BRIDGES: &[&str] = &[
    "mcp-remote",
    "supergateway",
    "mcp-proxy",
    "fastmcp",
    "@pyroprompts/mcp-stdio-to-streamable-http-adapter",
];
