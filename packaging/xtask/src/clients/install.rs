//! Where the exact version of a client is installed, once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::table::{Registry, TestedClient};
use crate::deps::environment;
use crate::shell::{Done, cache, step, which};

/// The program of a client, installed once.
pub fn install(client: &TestedClient) -> Done<PathBuf> {
    match client.registry {
        Registry::Npm(beside) => npm(client, beside),
        Registry::PyPi => {
            let dir = cache().join("pypi").join(client.id);
            environment(client.id, &dir)?;
            Ok(dir.join("bin").join(client.bin))
        }
    }
}

fn npm(client: &TestedClient, beside: &[&str]) -> Done<PathBuf> {
    which("npm").ok_or("no `npm`")?;
    let dir = cache().join("clients").join(client.id);
    let bin = dir.join("node_modules/.bin").join(client.bin);
    let mark = dir.join("installed");
    let wanted = [&[client.version], beside].concat().join(" ");
    if bin.exists() && fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(bin);
    }
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(io)?;
    }
    fs::create_dir_all(&dir).map_err(io)?;
    fs::write(dir.join("package.json"), "{\"private\":true}").map_err(io)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .arg(format!("{}@{}", client.package, client.version))
        .args(beside)
        .current_dir(&dir);
    step(&format!("npm install {}", client.package), &mut npm)?;
    fs::write(mark, wanted).map_err(io)?;
    Ok(bin)
}
