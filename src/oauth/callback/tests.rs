//! Tests of the listener with real connections on loopback.

use super::*;
use crate::bridge::channel::SecretText;

fn expected() -> ExpectedAnswer {
    ExpectedAnswer {
        state: SecretText::new("st-1".into()),
        issuer: "https://as.example".into(),
        must_name_issuer: false,
    }
}

/// The first line of the answer to a request.
fn ask(address: &str, target: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    drop(stream.read_to_string(&mut text));
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn only_the_answer_to_this_login_ends_it() {
    let callback = Callback::bind(None, None).unwrap();
    let redirect = callback.redirect().to_owned();
    let authority = redirect
        .trim_start_matches("http://")
        .trim_end_matches(PATH)
        .to_owned();
    let browser = std::thread::spawn(move || {
        let at = |target: &str, host: &str| ask(&authority, target, host);
        let right = "/callback?code=c&state=st-1";
        // Connections that say nothing keep nobody else out.
        let silent = || TcpStream::connect(&authority).unwrap();
        let (_silent, begun) = ([(); 48].map(|()| silent()), Instant::now());
        for (target, host, status) in [
            ("/favicon.ico", authority.as_str(), "404"),
            ("/callback/?code=c&state=st-1", &authority, "404"),
            ("/callback?code=c&state=other", &authority, "400"),
            ("/callback?code=c", &authority, "400"),
            (right, "evil.example", "400"),
            (right, "localhost", "400"),
        ] {
            let line = at(target, host);
            assert!(line.contains(status), "{target} {host}: {line}");
        }
        assert!(at(right, &authority).contains("200") && begun.elapsed() < HEAD_LIMIT);
    });
    let (_sender, pasted) = channel();
    let limit = Duration::from_mins(1);
    let (answer, page) = callback
        .wait(&expected(), limit, &pasted, &mut |_| {})
        .unwrap();
    assert_eq!(answer, CallbackAnswer::Code(SecretText::new("c".into())));
    page.unwrap().show("200 OK", "Done", &[]);
    browser.join().unwrap();
    let gone = TcpStream::connect(
        redirect
            .trim_start_matches("http://")
            .trim_end_matches(PATH),
    );
    assert!(gone.is_err(), "one answer, then nothing listens");
}

#[test]
fn pasted_addresses_pass_the_same_checks() {
    let callback = Callback::bind(None, None).unwrap();
    let redirect = callback.redirect().to_owned();
    let (sender, pasted) = channel();
    for line in [
        "",
        "code=c&state=st-1",
        "https://evil.example/callback?code=c&state=st-1",
        &format!("{redirect}/?code=c&state=st-1"),
        &format!("{redirect}?code=c&state=other"),
        &format!("  {redirect}?code=c&state=st-1\n"),
    ] {
        sender.send(Some(line.to_owned())).unwrap();
    }
    let mut wrong = 0;
    let limit = Duration::from_mins(1);
    let (answer, page) = callback
        .wait(&expected(), limit, &pasted, &mut |_| wrong += 1)
        .unwrap();
    assert_eq!(answer, CallbackAnswer::Code(SecretText::new("c".into())));
    assert!(page.is_none() && wrong == 5, "{wrong}");
}

#[test]
fn the_user_ends_it() {
    let callback = Callback::bind(None, None).unwrap();
    let (sender, pasted) = channel();
    sender.send(None).unwrap();
    let limit = Duration::from_mins(1);
    let error = callback
        .wait(&expected(), limit, &pasted, &mut |_| {})
        .unwrap_err();
    assert_eq!(error.code, Code::Declined);
}

#[test]
fn without_an_answer_it_ends() {
    let callback = Callback::bind(None, None).unwrap();
    let (_sender, pasted) = channel();
    let error = callback
        .wait(&expected(), Duration::ZERO, &pasted, &mut |_| {})
        .unwrap_err();
    assert_eq!(error.code, Code::OAuthFailed);
}

#[test]
fn it_listens_on_this_machine_only() {
    for fixed in [
        "https://127.0.0.1:0/callback",
        "http://127.0.0.2:0/callback",
        "http://example.com:80/callback",
        "http://127.0.0.1:0/callback?x=1",
    ] {
        assert!(Callback::bind(Some(fixed), None).is_err(), "{fixed}");
    }
    // A port that is taken: a fixed one fails, a registered one is given up.
    let taken = Callback::bind(None, None).unwrap();
    assert!(Callback::bind(Some(taken.redirect()), None).is_err());
    let other = Callback::bind(None, Some(taken.redirect())).unwrap();
    assert_ne!(other.redirect(), taken.redirect());
    let port = taken.redirect.port();
    assert!(Callback::bind(Some(&format!("http://localhost:{port}/x")), None).is_err());
}

#[test]
fn a_redirect_to_localhost_is_answered_at_both_addresses() {
    for literal in ["127.0.0.1", "[::1]"] {
        let port = Callback::bind(None, None).unwrap().redirect.port();
        // A machine without IPv6 has no such logins.
        let Ok(callback) = Callback::bind(Some(&format!("http://localhost:{port}/x")), None) else {
            return assert!(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err());
        };
        let browser = std::thread::spawn(move || {
            let at = |host: &str| ask(&format!("{literal}:{port}"), "/x?code=c&state=st-1", host);
            assert!(at(&format!("{literal}:{port}")).contains("400"));
            at(&format!("localhost:{port}"))
        });
        let ((_sender, pasted), limit) = (channel(), Duration::from_mins(1));
        let answer = callback.wait(&expected(), limit, &pasted, &mut |_| {});
        answer.unwrap().1.unwrap().show("200 OK", "Done", &[]);
        assert!(browser.join().unwrap().contains("200"), "{literal}");
    }
}
