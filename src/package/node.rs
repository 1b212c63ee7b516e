//! Which file of an installed npm package is started, and what executes it.
//!
//! As npx decides it: by the `bin` of the package and the first line of that file. The interpreter
//! reports its own real path, because version managers put a script in its place that depends on
//! the current directory.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::Call;
use super::request::read;
use super::request::{PinRequest, failed};
use crate::error::Result;
use crate::secret::ServerName;

/// Keeps Node.js from loading packages from directories outside of the tree, e.g. `~/.node_modules`.
/// Source: node(1).
pub(super) const TREE_ONLY: &str = "--no-global-search-paths";

/// The file that npx would start: the named program, else the package's only one, else the one with
/// the package's name.
pub(super) fn program(
    root: &Path,
    name: &str,
    named: Option<&str>,
    server: &ServerName,
) -> Result<PathBuf> {
    let modules = root.join("node_modules");
    let text = read(&modules.join(name).join("package.json"), server)?;
    let manifest: Value = serde_json::from_str(&text).unwrap_or_default();
    let own = name.rsplit('/').next().unwrap_or(name);
    let programs: Vec<(String, String)> = match manifest.get("bin") {
        Some(Value::String(path)) => vec![(own.to_owned(), path.clone())],
        Some(Value::Object(map)) => map
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
            .collect(),
        _ => Vec::new(),
    };
    let chosen = match (named, programs.as_slice()) {
        (Some(named), _) => named,
        (None, [(first, path), others @ ..]) if others.iter().all(|(_, other)| other == path) => {
            first
        }
        (None, all) => all
            .iter()
            .map(|(n, _)| n.as_str())
            .find(|n| *n == own)
            .ok_or_else(|| {
                let listed: Vec<_> = all.iter().map(|(n, _)| format!("`{n}`")).collect();
                let which = if listed.is_empty() {
                    "none".to_owned()
                } else {
                    listed.join(", ")
                };
                let error = failed(server).cause(format!(
                    "cannot tell which program of `{name}` to start; it has: {which}"
                ));
                if listed.is_empty() {
                    return error;
                }
                error.hint(format!(
                    "run `mcpwrap policy edit {server}` to name one: `npx -y -p {name} PROGRAM`"
                ))
            })?,
    };
    let real = fs::canonicalize(modules.join(".bin").join(chosen)).ok();
    let inside = real.and_then(|path| path.strip_prefix(root).map(Path::to_path_buf).ok());
    inside.ok_or_else(|| failed(server).cause(format!("`{name}` has no program `{chosen}`")))
}

/// The interpreter of a file, by its first line, and its own arguments.
pub(super) fn interpreter(
    root: &Path,
    entry: &Path,
    request: &PinRequest<'_>,
) -> Result<(String, Vec<String>)> {
    let server = request.server;
    let mut head = [0; 256];
    let read = fs::File::open(root.join(entry)).and_then(|mut file| file.read(&mut head));
    let head = head.get(..read.unwrap_or_default()).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let Some(line) = text.strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        // A shell would start a script without that line, and it cannot run JavaScript.
        let is_script = head
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
        if is_script || head.is_empty() {
            return Err(failed(server).cause(format!("`{}` has no `#!` line", entry.display())));
        }
        return Ok((String::new(), Vec::new()));
    };
    let mut words = line.split_whitespace().filter(|word| *word != "-S");
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut program = last(words.next().unwrap_or_default());
    if program == "env" {
        program = last(words.next().unwrap_or_default());
    }
    let wants_bun = request
        .launch
        .options
        .iter()
        .any(|(name, _)| name == "--bun");
    let flags: Vec<String> = words.map(str::to_owned).collect();
    let (program, print, mut flags) = match program.as_str() {
        _ if wants_bun => ("bun", ["-e", "console.log(process.execPath)"], Vec::new()),
        "node" | "nodejs" => ("node", ["-p", "process.execPath"], flags),
        "bun" => ("bun", ["-e", "console.log(process.execPath)"], flags),
        other => {
            let cause = format!("`{}` is a script for `{other}`", entry.display());
            return Err(failed(server).cause(cause).hint(format!(
                "only programs for Node.js and bun, and binaries, can be pinned; with an exact version \
                 it starts through its launcher: run `mcpwrap policy edit {server}`"
            )));
        }
    };
    // Version managers put a script in the interpreter's place that depends on the current
    // directory. The interpreter itself reports its real path.
    let asked = |flags: &[&str]| {
        let args: Vec<_> = flags.iter().chain(&print).copied().collect();
        Call::new(program, root).args(&args).output()
    };
    let answer = match asked(&[TREE_ONLY]) {
        Ok(answer) if program == "node" => {
            flags.insert(0, TREE_ONLY.to_owned());
            answer
        }
        // bun has no such directories, and Node.js before 16.10 no such flag.
        _ => asked(&[])?,
    };
    let path = String::from_utf8_lossy(&answer).trim().to_owned();
    if !path.starts_with('/') {
        return Err(failed(server).cause(format!("`{program}` did not report its path")));
    }
    Ok((path, flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::request::write;

    #[test]
    fn the_program_that_npx_would_start() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let server = ServerName::new("x").unwrap();
        let bin = |bin: &str| {
            let package = root.join("node_modules/@s/pkg");
            write(
                &package.join("package.json"),
                format!("{{{bin}}}").as_bytes(),
                &server,
            )
            .unwrap();
            for name in ["a.js", "b.js"] {
                write(&package.join(name), b"#!/usr/bin/env node\n", &server).unwrap();
            }
            for (name, file) in [("pkg", "a.js"), ("other", "b.js")] {
                let link = root.join("node_modules/.bin").join(name);
                fs::create_dir_all(link.parent().unwrap()).unwrap();
                drop(std::os::unix::fs::symlink(
                    format!("../@s/pkg/{file}"),
                    link,
                ));
            }
        };
        let chosen = |named| {
            let found = program(&root, "@s/pkg", named, &server);
            found
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .ok()
        };
        bin(r#""bin":"a.js""#);
        assert_eq!(chosen(None).as_deref(), Some("a.js"));
        bin(r#""bin":{"other":"b.js"}"#);
        assert_eq!(chosen(None).as_deref(), Some("b.js"));
        bin(r#""bin":{"other":"b.js","pkg":"a.js"}"#);
        assert_eq!(chosen(None).as_deref(), Some("a.js"));
        assert_eq!(chosen(Some("other")).as_deref(), Some("b.js"));
        assert_eq!(chosen(Some("absent")), None);
        bin(r#""bin":{"other":"b.js","third":"a.js"}"#);
        assert_eq!(chosen(None), None);
        bin("");
        assert_eq!(chosen(None), None);
    }
}
