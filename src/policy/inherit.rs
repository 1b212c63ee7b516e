//! What a server inherits from the client's environment: tables of names, and one function.
//!
//! Invariants: only names in a table or in the policy are inherited. Names in `NEVER` are not, even if
//! the policy passes them; a policy can only set them by value. A value that fails its check is
//! omitted, not corrected, except `PATH`, because nothing starts without one. The source is noted at
//! each group.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The check of a value in the base list or the network list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueRule {
    Any,
    /// An absolute path.
    Absolute,
    /// No `/` and no `%`: otherwise names of locales and terminals could refer to files.
    /// Source: sudo's `env_check`.
    Plain,
    /// The name of a time zone, or a file of the zone database. Source: sudo's rule for `TZ`.
    Zone,
    /// Absolute directories. Relative ones are removed, because they would refer to the project.
    SearchPath,
    /// A URL without a user name or password: with one, it would be a secret.
    Proxy,
    /// A file or directory that only root or this user can change: it decides which TLS servers
    /// are trusted.
    Authorities,
}

/// Names that a server inherits if the client has them. A trailing `*` matches any suffix.
/// Source: what the MCP SDKs and sudo keep, and what npx, uvx and docker need in tests.
const BASE: &[(&str, ValueRule)] = &[
    ("HOME", ValueRule::Absolute),
    ("USER", ValueRule::Any),
    ("LOGNAME", ValueRule::Any),
    ("SHELL", ValueRule::Absolute),
    ("PATH", ValueRule::SearchPath),
    ("TMPDIR", ValueRule::Absolute),
    ("LANG", ValueRule::Plain),
    ("LANGUAGE", ValueRule::Plain),
    ("LC_*", ValueRule::Plain),
    ("TZ", ValueRule::Zone),
    ("TERM", ValueRule::Plain),
    ("XDG_CACHE_HOME", ValueRule::Absolute),
    ("XDG_CONFIG_HOME", ValueRule::Absolute),
    ("XDG_DATA_HOME", ValueRule::Absolute),
    ("XDG_STATE_HOME", ValueRule::Absolute),
];

/// Proxies and certificate authorities. Source: curl's manual for the proxy variables (upper and
/// lower case); OpenSSL, Node, requests and curl for the authorities.
const NETWORK: &[(&str, ValueRule)] = &[
    ("HTTP_PROXY", ValueRule::Proxy),
    ("HTTPS_PROXY", ValueRule::Proxy),
    ("ALL_PROXY", ValueRule::Proxy),
    ("NO_PROXY", ValueRule::Any),
    ("http_proxy", ValueRule::Proxy),
    ("https_proxy", ValueRule::Proxy),
    ("all_proxy", ValueRule::Proxy),
    ("no_proxy", ValueRule::Any),
    ("SSL_CERT_FILE", ValueRule::Authorities),
    ("SSL_CERT_DIR", ValueRule::Authorities),
    ("NODE_EXTRA_CA_CERTS", ValueRule::Authorities),
    ("REQUESTS_CA_BUNDLE", ValueRule::Authorities),
    ("CURL_CA_BUNDLE", ValueRule::Authorities),
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

/// The names of the base list, for the documentation.
pub fn base_names() -> impl Iterator<Item = &'static str> {
    BASE.iter().map(|(name, _)| *name)
}

/// The names of the network list, for the documentation.
pub fn network_names() -> impl Iterator<Item = &'static str> {
    NETWORK.iter().map(|(name, _)| *name)
}

/// The groups of the never list with their reasons, for the documentation.
pub const fn never_groups() -> &'static [(&'static str, &'static [&'static str])] {
    NEVER
}

/// The variables that a server inherits from the parent: the base list, the network list, and what
/// the policy passes, in the parent's order.
pub fn inherited(
    parent: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> Vec<(OsString, OsString)> {
    inherited_if(parent, pass, only_ours_may_change)
}

fn inherited_if(
    parent: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
    trusted: impl Fn(&Path) -> bool,
) -> Vec<(OsString, OsString)> {
    let keep = |(name, value): (OsString, OsString)| {
        let text = name.to_str()?;
        // An exported shell function, which old shells execute at startup. Source: sudo.
        if value.as_bytes().starts_with(b"()") || never(text).is_some() {
            return None;
        }
        let listed = BASE
            .iter()
            .chain(NETWORK)
            .find(|(pattern, _)| matches(pattern, text));
        let value = match listed {
            Some((_, ValueRule::SearchPath)) => search_path(&value)?,
            _ if pass.iter().any(|name| name == text) => value,
            Some((_, rule)) if fits(*rule, &value, &trusted) => value,
            _ => return None,
        };
        Some((name, value))
    };
    parent.filter_map(keep).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.len() > start.len() && name.starts_with(start),
        None => name == pattern,
    }
}

fn fits(rule: ValueRule, value: &OsStr, trusted: impl Fn(&Path) -> bool) -> bool {
    let bytes = value.as_bytes();
    match rule {
        ValueRule::Any => true,
        ValueRule::Absolute | ValueRule::SearchPath => bytes.starts_with(b"/"),
        ValueRule::Plain => !bytes.iter().any(|b| b"/%".contains(b)),
        ValueRule::Zone => value.to_str().is_some_and(is_zone),
        ValueRule::Proxy => value.to_str().is_some_and(is_open_proxy),
        ValueRule::Authorities => bytes.starts_with(b"/") && trusted(Path::new(value)),
    }
}

fn is_zone(text: &str) -> bool {
    let text = text.strip_prefix(':').unwrap_or(text);
    let file = !text.starts_with('/') || text.starts_with("/usr/share/zoneinfo/");
    file && !text.contains("..") && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_open_proxy(text: &str) -> bool {
    !text.contains('@') && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The absolute entries of a search path, or `None` if there is none.
fn search_path(value: &OsStr) -> Option<OsString> {
    let entries = value.as_bytes().split(|b| *b == b':');
    let absolute: Vec<_> = entries.filter(|entry| entry.starts_with(b"/")).collect();
    (!absolute.is_empty()).then(|| OsString::from_vec(absolute.join(&b':')))
}

fn only_ours_may_change(path: &Path) -> bool {
    let me = nix::unistd::geteuid().as_raw();
    path.metadata()
        .is_ok_and(|meta| (meta.uid() == 0 || meta.uid() == me) && meta.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(name: &str, value: &str, pass: &[&str], expected: Option<&str>) {
        let pass: Vec<_> = pass.iter().map(|name| (*name).to_owned()).collect();
        let parent = std::iter::once((OsString::from(name), OsString::from(value)));
        let got = inherited_if(parent, &pass, |path| path.starts_with("/etc"));
        let got: Vec<_> = got
            .iter()
            .map(|(_, value)| value.to_str().unwrap())
            .collect();
        assert_eq!(got, Vec::from_iter(expected), "{name}={value}");
    }

    #[test]
    fn the_base_list_with_checked_values() {
        case("HOME", "/home/ana", &[], Some("/home/ana"));
        case("HOME", "home", &[], None);
        case("LC_TIME", "de_DE.UTF-8", &[], Some("de_DE.UTF-8"));
        case("LC_TIME", "../../x", &[], None);
        case("TZ", "Europe/Berlin", &[], Some("Europe/Berlin"));
        case("TZ", ":/etc/passwd", &[], None);
        case("TZ", "../x", &[], None);
        case("PATH", "/usr/bin:.::bin:/bin", &[], Some("/usr/bin:/bin"));
        case("PATH", ".", &[], None);
        case("PATH", ".:/bin", &["PATH"], Some("/bin"));
        case("USER", "() { :; }; id", &[], None);
    }

    #[test]
    fn the_network_list_with_checked_values() {
        case(
            "https_proxy",
            "http://proxy:3128",
            &[],
            Some("http://proxy:3128"),
        );
        case("HTTPS_PROXY", "http://me:pw@proxy:3128", &[], None);
        case(
            "HTTPS_PROXY",
            "http://me:pw@proxy:3128",
            &["HTTPS_PROXY"],
            Some("http://me:pw@proxy:3128"),
        );
        case("SSL_CERT_FILE", "/etc/ca.pem", &[], Some("/etc/ca.pem"));
        case("SSL_CERT_FILE", "/tmp/ca.pem", &[], None);
        case("SSL_CERT_FILE", "ca.pem", &[], None);
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
        for (name, _) in BASE.iter().chain(NETWORK) {
            assert!(never(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_omitted() {
        let name = OsString::from_vec(vec![b'L', b'C', b'_', 0xff]);
        assert!(inherited([(name, "x".into())].into_iter(), &[]).is_empty());
    }
}
