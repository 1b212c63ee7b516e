//! A local package registry: npm's and Python's protocol, as far as their clients need it.
//!
//! Listens on the loopback interface only. Its content can be changed while it runs, as an attacker
//! would.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::packing;
use super::told::Told;

/// One published version.
#[derive(Clone)]
struct Version {
    manifest: Value,
    archive: Vec<u8>,
    /// The hash that the registry reports, if it is wrong.
    claimed: Option<Vec<u8>>,
}

/// What the index says of a Python file besides its hash.
#[derive(Clone, Default)]
pub(super) struct FileNote {
    pub(super) requires_python: Option<&'static str>,
    /// Why it was withdrawn.
    pub(super) yanked: Option<&'static str>,
}

#[derive(Default)]
struct State {
    npm: BTreeMap<String, Vec<(String, Version)>>,
    /// Project → file → bytes.
    wheels: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// What the index says of a file.
    notes: BTreeMap<String, FileNote>,
    /// Projects whose files have a signed attestation of where they were built.
    attested: Vec<String>,
    /// When a file was uploaded, if the registry says it.
    uploaded: BTreeMap<String, String>,
    told: Told,
    asked: Vec<String>,
    /// While set, requests for archives wait.
    held: bool,
    closed: bool,
}

pub(super) struct Registry {
    pub(super) url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Registry {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let (shared, base) = (Arc::clone(&state), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.0.lock().unwrap().closed {
                    return;
                }
                let (shared, base) = (Arc::clone(&shared), base.clone());
                std::thread::spawn(move || answer(&stream, &shared, &base));
            }
        });
        Self { url, state }
    }

    /// Publishes or replaces a version of an npm package with these files.
    pub(super) fn npm(&self, dir: &Path, manifest: &Value, files: &[(&str, &str)]) {
        let archive = packing::tarball(dir, manifest, files);
        let (name, version) = (text(manifest, "name"), text(manifest, "version"));
        let mut state = self.state.0.lock().unwrap();
        let versions = state.npm.entry(name).or_default();
        versions.retain(|(known, _)| *known != version);
        let published = Version {
            manifest: manifest.clone(),
            archive,
            claimed: None,
        };
        versions.push((version, published));
    }

    /// Serves different bytes for a version, and still reports the old hash.
    pub(super) fn lie(&self, dir: &Path, manifest: &Value, files: &[(&str, &str)]) {
        let other = packing::tarball(dir, manifest, files);
        let (name, version) = (text(manifest, "name"), text(manifest, "version"));
        let mut state = self.state.0.lock().unwrap();
        let versions = state.npm.get_mut(&name).unwrap();
        let (_, published) = versions
            .iter_mut()
            .find(|(known, _)| *known == version)
            .unwrap();
        published.claimed = Some(std::mem::replace(&mut published.archive, other));
    }

    /// Publishes a pure Python wheel: one module, one program of the same name.
    pub(super) fn wheel(&self, dir: &Path, name: &str, version: &str, module: &str) {
        let file = format!("{name}-{version}-py3-none-any.whl");
        let bytes = packing::wheel(&dir.join(&file), name, version, module);
        let mut state = self.state.0.lock().unwrap();
        state
            .wheels
            .entry(name.to_owned())
            .or_default()
            .insert(file, bytes);
    }

    /// Says when the wheel of a version was uploaded.
    pub(super) fn uploaded(&self, name: &str, version: &str, time: &str) {
        let file = format!("{name}-{version}-py3-none-any.whl");
        let mut state = self.state.0.lock().unwrap();
        state.uploaded.insert(file, time.to_owned());
    }

    /// Publishes a source archive, whose build runs this code.
    pub(super) fn source(&self, dir: &Path, name: &str, version: &str, build: &str) {
        let bytes = packing::source(dir, name, version, build);
        let file = format!("{name}-{version}.tar.gz");
        let mut state = self.state.0.lock().unwrap();
        let files = state.wheels.entry(name.to_owned()).or_default();
        files.insert(file, bytes);
    }

    /// Says more about a file.
    pub(super) fn note(&self, file: &str, note: FileNote) {
        let mut state = self.state.0.lock().unwrap();
        state.notes.insert(file.to_owned(), note);
    }

    /// Adds a signed attestation for the files of a project.
    pub(super) fn attest(&self, project: &str) {
        self.state
            .0
            .lock()
            .unwrap()
            .attested
            .push(project.to_owned());
    }

    /// Changes what it tells of packages.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.state.0.lock().unwrap().told);
    }

    /// Removes all versions of an npm package but these.
    pub(super) fn keep(&self, name: &str, kept: &[&str]) {
        let mut state = self.state.0.lock().unwrap();
        let versions = state.npm.get_mut(name).unwrap();
        versions.retain(|(version, _)| kept.contains(&version.as_str()));
    }

    /// Makes requests for archives wait until `release`.
    pub(super) fn hold(&self) {
        self.state.0.lock().unwrap().held = true;
    }

    pub(super) fn release(&self) {
        self.state.0.lock().unwrap().held = false;
        self.state.1.notify_all();
    }

    /// Waits for a request whose path contains this.
    pub(super) fn wait_for(&self, part: &str) {
        let mut state = self.state.0.lock().unwrap();
        while !state.asked.iter().any(|path| path.contains(part)) {
            let (next, timeout) = self
                .state
                .1
                .wait_timeout(state, crate::harness::DEADLINE)
                .unwrap();
            assert!(!timeout.timed_out(), "nobody asked for {part}");
            state = next;
        }
    }

    /// The paths of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state.0.lock().unwrap().asked.clone()
    }

    /// Makes the registry unreachable.
    pub(super) fn close(&self) {
        self.state.0.lock().unwrap().closed = true;
        drop(TcpStream::connect(self.url.trim_start_matches("http://")));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.release();
        self.close();
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn answer(stream: &TcpStream, shared: &(Mutex<State>, Condvar), base: &str) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        let mut json = false;
        let mut length = 0;
        while reader.read_line(&mut header).is_ok_and(|count| count > 2) {
            let lower = header.to_ascii_lowercase();
            json |= lower.starts_with("accept:") && lower.contains("simple.v1+json");
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            header.clear();
        }
        // What is asked for is not compared: npm leaves out what it did not ask for.
        let mut sent = vec![0; length];
        if reader.read_exact(&mut sent).is_err() {
            return;
        }
        let path = request
            .split(' ')
            .nth(1)
            .unwrap_or("/")
            .replace("%2f", "/")
            .replace("%2F", "/");
        let mut state = shared.0.lock().unwrap();
        state.asked.push(path.clone());
        shared.1.notify_all();
        while state.held && (path.contains(".tgz") || path.contains("/files/")) {
            state = shared.1.wait(state).unwrap();
        }
        let project = path.strip_prefix("/simple/").filter(|_| json);
        let body = match project {
            Some(project) => files(&state, project.trim_matches('/'), base),
            None => body(&state, &path, base),
        };
        drop(state);
        let (status, kind, body) = match body {
            Some((kind, body)) => ("200 OK", kind, body),
            None => ("404 Not Found", "text/plain", b"absent".to_vec()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut out = stream;
        let body = if request.starts_with("HEAD ") {
            Vec::new()
        } else {
            body
        };
        if out
            .write_all(head.as_bytes())
            .and_then(|()| out.write_all(&body))
            .is_err()
        {
            return;
        }
    }
}

/// The files of a project as JSON (PEP 691, 740).
fn files(state: &State, project: &str, base: &str) -> Option<(&'static str, Vec<u8>)> {
    let attested = state.attested.iter().any(|known| known == project);
    let wheels = state.wheels.get(&project.replace('-', "_"))?.iter();
    let files = wheels.map(|(file, bytes)| {
        let provenance = attested.then(|| format!("{base}/provenance/{file}"));
        let note = state.notes.get(file).cloned().unwrap_or_default();
        let told = state.told.yanked.get(file).map(String::as_str);
        let yanked = note.yanked.or(told).map_or(json!(false), |why| json!(why));
        let mut entry = json!({
            "filename": file, "url": format!("{base}/files/{file}"), "provenance": provenance,
            "requires-python": note.requires_python, "yanked": yanked,
            "hashes": { "sha256": hex(&Sha256::digest(bytes)) },
        });
        if let Some(time) = state.uploaded.get(file) {
            entry["upload-time"] = json!(time);
        }
        entry
    });
    let page = json!({
        "meta": { "api-version": "1.3" }, "name": project, "files": files.collect::<Vec<_>>(),
    });
    Some((
        "application/vnd.pypi.simple.v1+json",
        page.to_string().into_bytes(),
    ))
}

fn body(state: &State, path: &str, base: &str) -> Option<(&'static str, Vec<u8>)> {
    let path = path.split(['?', '#']).next()?.trim_matches('/');
    if let Some(told) = state.told.body(&format!("/{path}")) {
        return Some(("application/json", told));
    }
    if let Some(project) = path.strip_prefix("simple/") {
        let mut page = "<!DOCTYPE html><html><body>\n".to_owned();
        for (file, bytes) in state.wheels.get(&project.replace('-', "_"))? {
            let hash = hex(&Sha256::digest(bytes));
            let note = state.notes.get(file).cloned().unwrap_or_default();
            let fact = |name: &str, value: Option<&str>| {
                let value = value.map(|value| value.replace('>', "&gt;"));
                value.map_or(String::new(), |value| format!(" data-{name}=\"{value}\""))
            };
            let python = fact("requires-python", note.requires_python);
            let yanked = fact("yanked", note.yanked);
            writeln!(
                page,
                "<a href=\"{base}/files/{file}#sha256={hash}\"{python}{yanked}>{file}</a><br>"
            )
            .unwrap();
        }
        return Some(("text/html", page.into_bytes()));
    }
    if let Some(file) = path.strip_prefix("files/") {
        let bytes = state.wheels.values().find_map(|files| files.get(file))?;
        return Some(("application/octet-stream", bytes.clone()));
    }
    if let Some((name, file)) = path.split_once("/-/") {
        let versions = state.npm.get(name)?;
        let found = versions
            .iter()
            .find(|(version, _)| file == format!("{version}.tgz"))?;
        return Some(("application/octet-stream", found.1.archive.clone()));
    }
    let versions = state.npm.get(path)?;
    let mut all = serde_json::Map::new();
    let mut times = serde_json::Map::new();
    for (version, published) in versions {
        let said = published.claimed.as_ref().unwrap_or(&published.archive);
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(said));
        let mut manifest = published.manifest.clone();
        manifest["dist"] = json!({
            "tarball": format!("{base}/{path}/-/{version}.tgz"),
            "integrity": format!("sha512-{hash}"),
        });
        state.told.add_to(path, version, &mut manifest);
        all.insert(version.clone(), manifest);
        let time = manifest_time(&published.manifest);
        times.insert(version.clone(), json!(time));
    }
    let latest = &versions.last()?.0;
    let packument = json!({
        "name": path, "dist-tags": { "latest": latest }, "versions": all, "time": times,
        "maintainers": [{ "name": "ana" }],
    });
    Some(("application/json", packument.to_string().into_bytes()))
}

/// When a version was published: the field `_published` of its manifest.
fn manifest_time(manifest: &Value) -> &str {
    let time = manifest["_published"].as_str();
    time.unwrap_or("2026-01-02T03:04:05.000Z")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
