//! What the user reads if something else is at the address of a server: the reason, and once what helps.

use super::servers::grant;
use crate::bridge::web::{Then, Web};
use crate::harness::Test;

/// Answers each path in its own wrong way.
fn wrong() -> Web {
    Web::start(|asked, reply| {
        let path = asked.target.trim_start_matches('/');
        match path.parse() {
            Ok(307) => reply.body(307, "Location: /307\r\n", ""),
            Ok(200) => reply.body(200, "Content-Type: text/html\r\n", "<html>"),
            Ok(status) => reply.status(status),
            Err(_) => reply.status(404),
        }
        Then::Keep
    })
}

/// The error of `mcpwrap test` without its last lines of stderr.
#[track_caller]
fn said(test: &Test, url: &str) -> Vec<String> {
    grant(test, "s", url, "");
    let ended = test.cli(&["test", "s"]);
    assert_eq!(ended.code, 1, "{ended}");
    let lines = ended.stderr.lines();
    let lines = lines.skip_while(|line| !line.contains("error[remote-"));
    lines.map(|line| line.replace("mcpwrap: ", "")).collect()
}

#[test]
fn each_wrong_address_has_one_hint() {
    let web = wrong();
    let test = Test::new();
    let host = format!("127.0.0.1:{}", web.port);
    for (path, reason, hint) in [
        (
            "404",
            "answered with HTTP status 404 Not Found",
            "check the URL in the policy",
        ),
        (
            "200",
            "answered with `text/html` and not with a message of MCP; the outcome of the request is unknown",
            "check the URL in the policy",
        ),
        (
            "403",
            "answered with HTTP status 403 Forbidden",
            "see with the provider what the credentials may do",
        ),
        (
            "422",
            "answered with HTTP status 422 Unprocessable Entity",
            "check `url` and `[headers]` in the policy",
        ),
        (
            "500",
            "answered with HTTP status 500 Internal Server Error; the outcome of the request is unknown",
            "if this happens again, tell the operator of the server",
        ),
        (
            "307",
            "redirects more than 3 times",
            "check the URL in the policy",
        ),
        (
            "401",
            "asks for a token (HTTP status 401), and the policy has none",
            "run `mcpwrap policy edit s` and add `[oauth]`, or the token as a secret in `[headers]`",
        ),
    ] {
        let said = said(&test, &format!("http://{host}/{path}"));
        let code = if path == "401" {
            "remote-refused"
        } else {
            "remote-failed"
        };
        let error = format!("error[{code}]: server `s`: {host} {reason}");
        assert_eq!(said, [error, format!("hint: {hint}")], "{path}");
    }
    let free = Web::start(|_, _| Then::Close).port;
    let error = format!(
        "error[remote-failed]: server `s`: cannot reach 127.0.0.1:{free}: connection refused"
    );
    let hint = "hint: check the network and the URL in the policy".to_owned();
    assert_eq!(
        said(&test, &format!("http://127.0.0.1:{free}/")),
        [error, hint]
    );
    let said = said(&test, &format!("https://{host}/404"));
    let error = format!(
        "error[remote-failed]: server `s`: cannot reach {host}: it ended the connection before TLS was set up"
    );
    assert_eq!(
        said,
        [error, "hint: check scheme and port of the URL".to_owned()]
    );
}

#[test]
fn a_login_at_a_wrong_path_says_so() {
    let web = wrong();
    let test = Test::new();
    grant(&test, "s", &format!("{}/404", web.origin()), "[oauth]\n");
    let ended = test.cli(&["login", "s"]);
    assert_eq!(ended.code, 2, "{ended}");
    let cause = "cause: it answers with HTTP status 404, and names no authorization server";
    assert!(ended.stderr.contains(cause), "{ended}");
    assert!(
        ended.stderr.contains("hint: check `url` in the policy"),
        "{ended}"
    );
}
