//! Which Python runs a package, and its requirements in the form that pip and uv read.

use std::path::Path;

use super::Registry;
use super::client::Call;
use super::request::{PinRequest, failed};
use super::spec::spec;
use crate::error::Result;
use crate::secret::ServerName;

/// Prints the version and the real path of an interpreter, even if it was started by a wrapper.
const IDENTIFY: &str = "import os,sys;print('%d.%d'%sys.version_info[:2]);\
                   print(os.path.realpath(getattr(sys,'_base_executable',sys.executable)))";

/// An interpreter.
pub struct Python {
    /// Major and minor.
    pub version: String,
    /// The program itself, not a script of a version manager.
    pub path: String,
}

/// The Python that a name or a path starts.
pub fn identify(dir: &Path, found: &str, server: &ServerName) -> Result<Python> {
    let answer = Call::new(found, dir)
        .args(&["-I", "-c", IDENTIFY])
        .output()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let mut lines = answer.lines().map(str::to_owned);
    match (lines.next(), lines.next()) {
        (Some(version), Some(path)) if path.starts_with('/') => Ok(Python { version, path }),
        _ => Err(failed(server).cause(format!("`{found}` did not report its version and path"))),
    }
}

/// The package and its additional packages, as requirements.
pub fn requirements(request: &PinRequest<'_>, name: &str) -> Result<Vec<String>> {
    let text = request.launch.spec.as_deref().unwrap_or(name);
    // `name[extra]` is kept, without its version.
    let named = text
        .split(['@', '=', '<', '>', '~', '!', ' ', ';'])
        .next()
        .unwrap_or(name);
    let exact = |version: &str| format!("{named}=={version}");
    let main = match (request.to, &request.launch.version) {
        // Without a version the newest one that this Python can use is taken.
        (Some("latest"), _) => named.to_owned(),
        (Some(version), _) => exact(version),
        (None, Some(version)) => exact(version),
        (None, None) if text.contains('@') => named.to_owned(),
        (None, None) => text.to_owned(),
    };
    let mut all = vec![main];
    for other in &request.launch.with {
        if spec(Registry::Pypi, other).obstacle.is_some() {
            return Err(failed(request.server).cause(format!("`{other}` is not from a registry")));
        }
        all.push(other.replacen('@', "==", 1).replace("==latest", ""));
    }
    Ok(all)
}
