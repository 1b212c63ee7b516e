//! What a server inherits from the client's environment: tables of names, and one function.
//!
//! Invariants: only names in the base list or in the policy are inherited. Names in `SEALED`,
//! `NETWORK` and `NEVER` are not, even if the policy passes them; a policy can only set them by value.
//! A value that fails its check is omitted, not corrected. The source is noted at each group.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// The check of a value in the base list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueRule {
    /// No `/` and no `%`: otherwise names of locales and terminals could refer to files.
    /// Source: sudo's `env_check`.
    Plain,
    /// The name of a time zone, or a file of the zone database. Source: sudo's rule for `TZ`.
    Zone,
}

/// Names that a server inherits if the client has them. A trailing `*` matches any suffix.
/// Source: what the MCP SDKs and sudo keep.
const BASE: &[(&str, ValueRule)] = &[
    ("LANG", ValueRule::Plain),
    ("LANGUAGE", ValueRule::Plain),
    ("LC_*", ValueRule::Plain),
    ("TZ", ValueRule::Zone),
    ("TERM", ValueRule::Plain),
];

/// Names whose value is part of the grant: they choose which program runs and which files it reads.
/// They are never those of the client. Source: what the MCP SDKs and sudo keep, and what npx, uvx and
/// docker need in tests.
const SEALED: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "CONTAINER_HOST",
    "CONTAINER_CONNECTION",
    "CONTAINER_SSHKEY",
];

/// Proxies and certificate authorities: they choose whom a server talks to, so they come from the
/// approved network settings, and never from the client. Source: curl's manual for the proxy
/// variables (upper and lower case); OpenSSL, Node, requests, curl, git and AWS for the authorities.
const NETWORK: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "NODE_USE_ENV_PROXY",
    "NODE_USE_SYSTEM_CA",
];

/// Names that are never inherited, in groups with the reason. Letter case is ignored, because npm
/// accepts its variables in any case.
const NEVER: &[(&str, &[&str])] = &[
    // sudo `env_delete`; glibc `unsecvars.h`; dyld(1).
    (
        "makes the loader or the C library use other files",
        &[
            "LD_*",
            "_RLD*",
            "DYLD_*",
            "LDR_*",
            "LIBPATH",
            "SHLIB_PATH",
            "AUTHSTATE",
            "GCONV_PATH",
            "GETCONF_DIR",
            "GLIBC_TUNABLES",
            "LOCPATH",
            "NLSPATH",
            "PATH_LOCALE",
            "LOCALDOMAIN",
            "RES_OPTIONS",
            "RESOLV_HOST_CONF",
            "HOSTALIASES",
            "TERMINFO",
            "TERMINFO_DIRS",
            "TERMPATH",
            "TERMCAP",
        ],
    ),
    // sudo `env_delete`; bash(1), zsh(1).
    (
        "makes a shell run other code",
        &[
            "IFS",
            "CDPATH",
            "ENV",
            "BASH_ENV",
            "BASH_FUNC_*",
            "PS4",
            "GLOBIGNORE",
            "BASHOPTS",
            "SHELLOPTS",
            "PROMPT_COMMAND",
            "FPATH",
            "NULLCMD",
            "READNULLCMD",
            "ZDOTDIR",
            "TMPPREFIX",
        ],
    ),
    // sudo `env_delete`; node(1), npm config(7), bun and deno manuals.
    (
        "makes a JavaScript runtime or its installer load other code",
        &[
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_DEBUG",
            "NODE_REPL_EXTERNAL_MODULE",
            "NODE_TLS_REJECT_UNAUTHORIZED",
            "NPM_CONFIG_*",
            "YARN_*",
            "PNPM_*",
            "BUN_*",
            "DENO_*",
        ],
    ),
    // sudo `env_delete`; python(1), pip and uv manuals.
    (
        "makes Python or its installer load other code",
        &["PYTHON*", "PIP_*", "PIPX_*", "UV_*"],
    ),
    // sudo `env_delete`; perlrun(1), ruby(1), java(1), php(1), lua(1), .NET "startup hooks".
    (
        "makes an interpreter load other code",
        &[
            "PERL5*",
            "PERLLIB",
            "PERLIO_DEBUG",
            "RUBY*",
            "GEM_HOME",
            "GEM_PATH",
            "BUNDLE_*",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "CLASSPATH",
            "PHPRC",
            "PHP_INI_SCAN_DIR",
            "LUA_INIT*",
            "LUA_PATH*",
            "LUA_CPATH*",
            "DOTNET_STARTUP_HOOKS",
            "CORECLR_*",
            "COMPLUS_*",
        ],
    ),
    // sudo `env_delete`; git(1), ssh(1).
    (
        "makes git or ssh run other programs",
        &[
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG*",
            "GIT_EXEC_PATH",
            "GIT_ASKPASS",
            "GIT_EXTERNAL_DIFF",
            "GIT_PROXY_COMMAND",
            "SSH_ASKPASS",
        ],
    ),
    // OpenSSL config(5); NSS and OpenSSL key logging.
    (
        "weakens TLS or reveals its keys",
        &[
            "OPENSSL_CONF",
            "OPENSSL_MODULES",
            "OPENSSL_ENGINES",
            "SSLKEYLOGFILE",
        ],
    ),
    // sudo `env_delete` for Kerberos; the session bus gives access to the Secret Service.
    (
        "gives access to your keychain or to an agent that holds keys",
        &[
            "DBUS_SESSION_BUS_ADDRESS",
            "XDG_RUNTIME_DIR",
            "SSH_AUTH_SOCK",
            "GPG_AGENT_INFO",
            "GNOME_KEYRING_CONTROL",
            "KRB5_CONFIG*",
            "KRB5_KTNAME",
        ],
    ),
];

/// The reason why a name is never inherited, or `None` if it can be.
pub fn never(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let fits = |pattern: &&str| matches(pattern, &name);
    NEVER
        .iter()
        .find(|(_, names)| names.iter().any(fits))
        .map(|(why, _)| *why)
}

/// Whether a name is in the base list.
pub fn is_in_base(name: &str) -> bool {
    BASE.iter().any(|(pattern, _)| matches(pattern, name))
}

/// The names of the base list, for the documentation.
pub fn base_names() -> impl Iterator<Item = &'static str> {
    BASE.iter().map(|(name, _)| *name)
}

/// The names whose values are part of the grant, for the documentation.
pub const fn sealed_names() -> &'static [&'static str] {
    SEALED
}

/// The names of network settings, in capitals.
pub const fn network_names() -> &'static [&'static str] {
    NETWORK
}

/// Whether a name is one of the network settings.
pub fn is_network(name: &str) -> bool {
    NETWORK.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether the value of a name is part of the grant.
pub fn is_sealed(name: &str) -> bool {
    SEALED.contains(&name)
}

/// Whether programs know a variable of this name: a value under it would be more than a value.
pub fn has_meaning(name: &str) -> bool {
    const OTHERS: &[&str] = &[
        "DISPLAY", "EDITOR", "HOSTNAME", "MAIL", "OLDPWD", "PAGER", "PWD", "SHLVL", "USERNAME",
    ];
    is_in_base(name) || is_sealed(name) || is_network(name) || OTHERS.contains(&name)
}

/// The groups of the never list with their reasons, for the documentation.
pub const fn never_groups() -> &'static [(&'static str, &'static [&'static str])] {
    NEVER
}

/// The variables that a server inherits from the client: the base list and what the policy passes, in
/// the client's order.
pub fn inherited(
    parent: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> Vec<(OsString, OsString)> {
    let keep = |(name, value): &(OsString, OsString)| {
        let Some(text) = name.to_str() else {
            return false;
        };
        // An exported shell function, which old shells execute at startup. Source: sudo.
        if value.as_bytes().starts_with(b"()") || never(text).is_some() {
            return false;
        }
        let rule = BASE.iter().find(|(pattern, _)| matches(pattern, text));
        pass.iter().any(|name| name == text) || rule.is_some_and(|(_, rule)| fits(*rule, value))
    };
    parent.filter(keep).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.len() > start.len() && name.starts_with(start),
        None => name == pattern,
    }
}

fn fits(rule: ValueRule, value: &OsStr) -> bool {
    match rule {
        ValueRule::Plain => !value.as_bytes().iter().any(|b| b"/%".contains(b)),
        ValueRule::Zone => value.to_str().is_some_and(is_zone),
    }
}

fn is_zone(text: &str) -> bool {
    let text = text.strip_prefix(':').unwrap_or(text);
    let file = !text.starts_with('/') || text.starts_with("/usr/share/zoneinfo/");
    file && !text.contains("..") && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    #[track_caller]
    fn case(name: &str, value: &str, pass: &[&str], expected: Option<&str>) {
        let pass: Vec<_> = pass.iter().map(|name| (*name).to_owned()).collect();
        let parent = std::iter::once((OsString::from(name), OsString::from(value)));
        let got = inherited(parent, &pass);
        let got: Vec<_> = got
            .iter()
            .map(|(_, value)| value.to_str().unwrap())
            .collect();
        assert_eq!(got, Vec::from_iter(expected), "{name}={value}");
    }

    #[test]
    fn the_base_list_with_checked_values() {
        case("LC_TIME", "de_DE.UTF-8", &[], Some("de_DE.UTF-8"));
        case("LC_TIME", "../../x", &[], None);
        case("TZ", "Europe/Berlin", &[], Some("Europe/Berlin"));
        case("TZ", ":/etc/passwd", &[], None);
        case("TZ", "../x", &[], None);
        case("TERM", "xterm", &[], Some("xterm"));
        case("LANG", "() { :; }; id", &[], None);
    }

    #[test]
    fn what_chooses_programs_and_servers_is_not_the_clients() {
        for name in SEALED.iter().chain(NETWORK) {
            case(name, "/x", &[], None);
            assert!(never(name).is_none(), "{name}");
        }
        assert!(is_network("https_proxy") && is_network("HTTPS_PROXY"));
        assert!(is_sealed("PATH") && !is_sealed("LANG"));
    }

    #[test]
    fn nothing_else_unless_it_is_passed() {
        case("AWS_SECRET_ACCESS_KEY", "x", &[], None);
        case("GITHUB_HOST", "x", &["GITHUB_HOST"], Some("x"));
        case("GITHUB_HOST", "() { :; }", &["GITHUB_HOST"], None);
    }

    #[test]
    fn the_never_list_overrides_the_policy() {
        for name in [
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "BASH_ENV",
            "npm_config_script_shell",
            "NPM_CONFIG_PREFIX",
            "UV_INDEX",
            "GIT_SSH_COMMAND",
            "PERL5LIB",
            "RUBYOPT",
            "DBUS_SESSION_BUS_ADDRESS",
            "XDG_RUNTIME_DIR",
            "SSH_AUTH_SOCK",
        ] {
            assert!(never(name).is_some(), "{name}");
            case(name, "x", &[name], None);
        }
        for (name, _) in BASE {
            assert!(never(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_omitted() {
        let name = OsString::from_vec(vec![b'L', b'C', b'_', 0xff]);
        assert!(inherited([(name, "x".into())].into_iter(), &[]).is_empty());
    }
}
