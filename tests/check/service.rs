//! `--verify` against a test service, over real TLS: what is sent, and to whom.
//!
//! The service is behind a proxy, as in a company: it answers for any host, with a certificate of an
//! authority that only this test trusts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{TOKEN, Test, slot};
use crate::messages::message;

const HOST: &str = "api.github.com";

/// The hosts that were requested from the proxy, and the requests that arrived.
#[derive(Clone, Default)]
struct Seen {
    hosts: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// A service that gives this answer to everything. The test trusts its authority.
fn service(test: &Test, answer: &'static str) -> Seen {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec![HOST.to_owned()];
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let authority = test.dir.join("authority.pem");
    std::fs::write(&authority, issuer.pem()).unwrap();
    test.set("SSL_CERT_FILE", &authority);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    test.set("HTTPS_PROXY", format!("http://{address}"));
    let seen = Seen::default();
    let told = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(serve(stream, Arc::clone(&config), answer, &told));
        }
    });
    seen
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: &str,
    seen: &Seen,
) -> std::io::Result<()> {
    let mut first = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    reader.read_line(&mut first)?;
    let host = first.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.hosts.lock().unwrap().push(host);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match tls.read(&mut buffer)? {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    seen.requests.lock().unwrap().push(text);
    tls.write_all(answer.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// A machine with one server of a known service.
fn machine() -> Test {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.write_policy(
        "github",
        &format!(
            "version = 1\ncommand = [\"npx\", \"-y\", \"@modelcontextprotocol/server-github@2025.4.8\"]\n{}",
            slot("GITHUB_PERSONAL_ACCESS_TOKEN", "github/token")
        ),
    );
    test
}

/// Answers the question, and returns the report.
fn verify(test: &Test, answer: &str) -> String {
    let mut terminal = test.terminal(&["check", "--verify", "--no-limit"]);
    terminal
        .expect(&format!("github/token -> GET https://{HOST}/user"))
        .expect("send them?")
        .enter(answer);
    terminal.end().1
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-oauth-scopes: repo, admin:org\r\ngithub-authentication-token-expiration: 2020-02-29 10:00:00 UTC\r\ncontent-length: 2\r\n\r\n{}";

#[test]
fn a_service_is_asked_after_confirmation_and_its_answer_is_reported() {
    let test = machine();
    let seen = service(&test, GOOD);
    let screen = verify(&test, "y");
    assert_eq!(*seen.hosts.lock().unwrap(), [format!("{HOST}:443")]);
    let requests = seen.requests.lock().unwrap();
    let [request] = requests.as_slice() else {
        panic!("{} requests", requests.len())
    };
    assert!(request.starts_with("GET /user HTTP/1.1\r\n"));
    let header = format!("authorization: bearer {}", TOKEN.to_lowercase());
    assert!(request.to_lowercase().contains(&header));
    assert!(
        screen.contains("has scopes that the server does not need: admin:org"),
        "{screen}"
    );
    assert!(
        screen.contains("says `github/token` expired on 2020-02-29"),
        "{screen}"
    );
}

/// A secret in a file of a repository, of a user who has no store at all.
#[test]
fn a_secret_in_a_file_is_asked_about_as_well() {
    let test = Test::new();
    let seen = service(&test, GOOD);
    let config = format!(
        r#"{{"mcpServers": {{
            "github": {{"command": "npx", "args": ["@modelcontextprotocol/server-github"], "env": {{"GITHUB_PERSONAL_ACCESS_TOKEN": "{TOKEN}"}}}},
            "unknown": {{"command": "npx", "args": ["some-server"], "env": {{"API_TOKEN": "{TOKEN}x"}}}}
        }}}}"#
    );
    std::fs::write(test.dir.join("mcp.json"), config).unwrap();
    let mut terminal = test.terminal(&["check", "mcp.json", "--verify", "--no-limit"]);
    terminal
        .expect("GITHUB_PERSONAL_ACCESS_TOKEN in mcp.json")
        .expect("send them?")
        .enter("yes");
    let screen = terminal.end().1;
    assert!(screen.contains("admin:org"), "{screen}");
    let requests = seen.requests.lock().unwrap();
    assert_eq!(
        requests.len(),
        1,
        "a secret of no known service goes nowhere"
    );
    assert!(!requests[0].contains(&format!("{TOKEN}x")));
}

#[test]
fn nothing_is_sent_without_a_yes() {
    let test = machine();
    let seen = service(&test, GOOD);
    let screen = verify(&test, "n");
    assert!(screen.contains("nothing was sent"), "{screen}");
    let ended = test.cli(&["check", "--verify"]);
    assert_eq!(ended.code, 2, "{ended}");
    message(&test, "no-terminal", &ended);
    assert_eq!(*seen.hosts.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_refused_secret_and_a_redirect() {
    let test = machine();
    let refused = service(
        &test,
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
    );
    let screen = verify(&test, "y");
    assert!(
        screen.contains(&format!("{HOST} rejects `github/token` (HTTP 401)")),
        "{screen}"
    );
    assert_eq!(refused.requests.lock().unwrap().len(), 1);
    let moved = service(
        &test,
        "HTTP/1.1 302 Found\r\nlocation: https://evil.example/user\r\ncontent-length: 0\r\n\r\n",
    );
    let screen = verify(&test, "y");
    assert!(screen.contains("HTTP status 302"), "{screen}");
    assert_eq!(
        *moved.hosts.lock().unwrap(),
        [format!("{HOST}:443")],
        "not followed"
    );
}

/// Someone on the network path, with a certificate that the machine does not trust.
#[test]
fn an_unknown_authority_gets_nothing() {
    let test = machine();
    let seen = service(&test, GOOD);
    let proxy = test.dir.join("authority.pem");
    // The machine trusts the authority of another service instead.
    let other = Test::new();
    drop(service(&other, GOOD));
    std::fs::copy(other.dir.join("authority.pem"), proxy).unwrap();
    let screen = verify(&test, "y");
    assert!(
        screen.contains("did not say whether `github/token` is valid"),
        "{screen}"
    );
    assert_eq!(seen.requests.lock().unwrap().len(), 0, "nothing arrived");
}

#[test]
fn a_stored_secret_in_a_file_or_a_log_is_found() {
    let test = machine();
    // Outside the home, where the harness searches for secrets at the end of the test.
    let place = test.dir.join("elsewhere");
    std::fs::create_dir_all(place.join("logs")).unwrap();
    let config = format!(r#"{{"mcpServers": {{"x": {{"command": "s", "args": ["{TOKEN}"]}}}}}}"#);
    std::fs::write(place.join("mcp.json"), config).unwrap();
    std::fs::write(place.join("logs/mcp.log"), format!("a\nb {TOKEN}\n")).unwrap();
    let config = test.home.join(".config/Claude");
    std::fs::create_dir_all(&config).unwrap();
    std::os::unix::fs::symlink(place.join("logs"), config.join("logs")).unwrap();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let link = test.home.join(".cursor/mcp.json");
    std::os::unix::fs::symlink(place.join("mcp.json"), link).unwrap();
    let screen = verify(&test, "n");
    assert!(
        screen.contains("the stored secret `github/token` is also in this file"),
        "{screen}"
    );
    assert!(screen.contains("mcp.log:2:1"), "{screen}");
    assert!(
        screen.contains("a client log contains a secret"),
        "{screen}"
    );
}
