//! Why a package client failed: its own words in one line, without what is about mcpwrap's temporary
//! project.

/// The cause of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) hints: Vec<&'static str>,
}

/// The longest cause (characters).
const CAUSE_CHARS_MAX: usize = 300;

const NOT_FOUND: &str =
    "check the name of the package; for a private one, log in to its registry first";
const NO_VERSION: &str = "the version does not exist: use `--to latest`, or another version";

/// What npm says about its codes, and what helps.
const HINTS: &[(&str, &str)] = &[
    ("E404", NOT_FOUND),
    ("E401", "log in to the registry, e.g. with `npm login`"),
    ("E403", "log in to the registry, e.g. with `npm login`"),
    ("ETARGET", NO_VERSION),
    ("ENOSPC", "free some space on the disk"),
    (
        "EINTEGRITY",
        "clear the client's cache, e.g. with `npm cache clean --force`",
    ),
    ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", NPM_AUTHORITY),
    ("SELF_SIGNED_CERT_IN_CHAIN", NPM_AUTHORITY),
];
const NPM_AUTHORITY: &str =
    "name the file with your network's certificate authority in `NODE_EXTRA_CA_CERTS`";

/// What uv says, and what helps.
const UV_HINTS: &[(&str, &str)] = &[
    ("there is no version of", NO_VERSION),
    ("was not found in the package registry", NOT_FOUND),
    (
        "no usable wheels",
        "use `--allow-scripts` to build what has no wheel, which runs its code",
    ),
    (
        "UnknownIssuer",
        "name the file with your network's certificate authority in `SSL_CERT_FILE`",
    ),
    ("No space left", "free some space on the disk"),
];

/// Lines of npm that say nothing about the cause.
const NOISE: &[&str] = &[
    "code ",
    "errno ",
    "syscall ",
    "command ",
    "path ",
    "A complete log",
    "This is probably not a problem with npm",
    "Note that you can also install from",
    "tarball, folder, http url, or git folder",
    "In most cases you or one of your dependencies",
    "a package version that doesn't exist",
    "If you are behind a proxy",
    "'proxy' config is set properly",
    "at ",
];

/// Reads the output of a failed client.
pub(super) fn failure(said: &str) -> Failure {
    let found = npm(said)
        .or_else(|| without_wheel(said))
        .or_else(|| uv(said));
    found.unwrap_or_else(|| {
        let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        // Other clients name the cause last.
        let last = lines.next_back().unwrap_or("no output");
        Failure {
            cause: shown(last),
            hints: Vec::new(),
        }
    })
}

/// `npm error code E404`, `npm error 404 Not Found - GET …`.
fn npm(said: &str) -> Option<Failure> {
    let prefixes = ["npm error", "npm ERR!"];
    let lines: Vec<_> = said
        .lines()
        .filter_map(|line| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)))
        .map(str::trim)
        .collect();
    let code = lines.iter().find_map(|line| line.strip_prefix("code "));
    let own = lines.iter().find(|line| {
        let text = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
        !text.is_empty() && !NOISE.iter().any(|noise| text.starts_with(noise))
    });
    let cause = match (own, code) {
        (None, None) => return None,
        (_, Some("EINTEGRITY")) => {
            "EINTEGRITY: an archive's hash is not the one that the registry gave".to_owned()
        }
        (None, Some(code)) => code.to_owned(),
        // Some lines begin with their code in small letters: `notarget No matching version …`.
        (Some(own), code) => {
            let small = code.map(|code| code.trim_start_matches('E').to_ascii_lowercase());
            let (first, rest) = own.split_once(' ').unwrap_or((own, ""));
            let is_code = small.is_some_and(|small| first.trim_start_matches("no") == small);
            let is_number = first.starts_with(|c: char| c.is_ascii_digit());
            let text = if is_code && !is_number { rest } else { own };
            text.to_owned()
        }
    };
    let hint = |(known, hint): &(&str, &'static str)| (code == Some(*known)).then_some(*hint);
    Some(Failure {
        cause: shown(&cause),
        hints: HINTS.iter().filter_map(hint).collect(),
    })
}

/// Of uv: the distribution can't be installed because it is marked as `--no-build`.
fn without_wheel(said: &str) -> Option<Failure> {
    let (rest, _) = said.split_once("marked as `--no-build`")?;
    let (_, rest) = rest.rsplit_once("Distribution `")?;
    let (name, version) = rest.split(" @ ").next()?.split_once("==")?;
    Some(Failure {
        cause: format!("`{name}` {version} has no wheel, and building it runs its code"),
        hints: vec!["use `--allow-scripts` to build it"],
    })
}

/// `× No solution found when resolving dependencies:`, `╰─▶ Because …`; or `error: …` with its
/// `Caused by:` lines.
fn uv(said: &str) -> Option<Failure> {
    let is_box = |c: char| "×╰─▶│├".contains(c) || c.is_whitespace();
    // The first form is that of older versions.
    let reason = said
        .split_once("╰─▶")
        .or_else(|| said.split_once("  cause: Because "));
    if let Some((_, reason)) = reason {
        let lines = reason.lines().map(|line| line.trim_matches(is_box));
        let reason = lines
            .take_while(|line| !line.is_empty() && !line.starts_with("hint:"))
            .collect::<Vec<_>>()
            .join(" ");
        let end = [" and your project", ", we can conclude", " we can conclude"]
            .iter()
            .filter_map(|words| reason.find(words))
            .min();
        let reason = reason.get(..end.unwrap_or(reason.len())).unwrap_or(&reason);
        let reason = reason
            .trim()
            .trim_start_matches("Because ")
            .trim_end_matches(',');
        return Some(of_uv(reason));
    }
    let (_, error) = said.split_once("error: ")?;
    let mut parts = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = parts.next()?;
    let below = |line: &str| {
        let text = ["Caused by: ", "cause: "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        text.map(str::to_owned)
    };
    let cause = match parts.filter_map(below).next_back() {
        Some(last) => format!("{first}: {last}"),
        None => first.to_owned(),
    };
    Some(of_uv(&cause))
}

/// A cause in uv's words, with what helps.
fn of_uv(cause: &str) -> Failure {
    let hint = |(said, hint): &(&str, &'static str)| cause.contains(said).then_some(*hint);
    Failure {
        cause: shown(cause),
        hints: UV_HINTS.iter().filter_map(hint).collect(),
    }
}

/// One line without passwords.
fn shown(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let text = without_password(&words.join(" "));
    match text.char_indices().nth(CAUSE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A text with `https://user:password@host` shown as `https://…@host`.
fn without_password(line: &str) -> String {
    let mut parts = line.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', ' ', '"', '\'', '?']).unwrap_or(part.len());
        let (host, rest) = part.split_at(end);
        let host = host
            .rsplit_once('@')
            .map_or(host.to_owned(), |(_, host)| format!("…@{host}"));
        shown.push_str("://");
        shown.push_str(&host);
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (line, expected) in [
            (
                "GET https://u:hunter2@r.example/x: 404",
                "GET https://…@r.example/x: 404",
            ),
            (
                "a https://tok3n@h b http://x/y@z",
                "a https://…@h b http://x/y@z",
            ),
            ("no address", "no address"),
        ] {
            assert_eq!(without_password(line), expected);
        }
    }

    #[test]
    fn npm_is_quoted_in_one_line() {
        let said = "npm warn old\nnpm error code E404\n\
            npm error 404 Not Found - GET https://u:pw@r.example/@s%2fabsent\nnpm error 404\n\
            npm error 404  The requested resource '@s/absent@1.0.0' could not be found\n\
            npm error A complete log of this run can be found in: /x\n";
        let found = failure(said);
        assert_eq!(
            found.cause,
            "404 Not Found - GET https://…@r.example/@s%2fabsent"
        );
        assert_eq!(found.hints.len(), 1);
        let said = "npm error code ETARGET\nnpm error notarget No matching version found for x@9.\n\
            npm error notarget In most cases you or one of your dependencies are requesting\n";
        assert_eq!(failure(said).cause, "No matching version found for x@9.");
        let said = "npm error code EUNKNOWN\nnpm error errno -5\nnpm error     at x (y.js:1)\n";
        assert_eq!(failure(said).cause, "EUNKNOWN");
    }

    #[test]
    fn uv_is_quoted_without_the_temporary_project() {
        let said = "  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of\n      \
            timer==9 and your project depends on timer==9, we can conclude that your\n      \
            project's requirements are unsatisfiable.\n";
        let found = failure(said);
        assert_eq!(found.cause, "there is no version of timer==9");
        assert_eq!(found.hints, [NO_VERSION]);
        let said = "error: Failed to fetch: `https://r/simple/x/`\n  Caused by: invalid peer certificate: UnknownIssuer\n";
        assert!(failure(said).hints.concat().contains("SSL_CERT_FILE"));
        let said = "error: Failed to fetch: `http://r/simple/x/`\n  Caused by: a\n  Caused by: dns error\n";
        assert_eq!(
            failure(said).cause,
            "Failed to fetch: `http://r/simple/x/`: dns error"
        );
        let said = "error: No solution found when resolving dependencies\n  cause: Because the requested \
            Python version (==3.11.*) does not satisfy Python>=3.12 and x==1 depends on Python>=3.12, we can \
            conclude that x==1 cannot be used.\n";
        assert_eq!(
            failure(said).cause,
            "the requested Python version (==3.11.*) does not satisfy Python>=3.12 and x==1 depends on Python>=3.12"
        );
        let said = "error: Distribution `pybars3==0.9.7 @ registry+https://r/simple` can't be installed \
            because it is marked as `--no-build` but has no binary distribution\n";
        let found = failure(said);
        assert_eq!(
            found.cause,
            "`pybars3` 0.9.7 has no wheel, and building it runs its code"
        );
        assert_eq!(found.hints, ["use `--allow-scripts` to build it"]);
        assert_eq!(failure("one\ntwo\n\n").cause, "two");
        assert_eq!(failure("").cause, "no output");
    }
}
