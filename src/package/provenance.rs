//! Whether a Python registry has a signed attestation of where an archive was built (PEP 740).
//!
//! The Python that will run the package asks the registry's list of files: it has the user's
//! proxies and certificates. No password is sent, and no answer is not an error.

use std::path::Path;

use super::client::Call;

/// Prints whether the file is attested, if the registry has attestations at all for the package.
const ASK: &str = "import json,sys,urllib.request as u\n\
    kind='application/vnd.pypi.simple.v1+json'\n\
    q=u.Request(sys.argv[1],headers={'Accept':kind})\n\
    files=json.load(u.urlopen(q,timeout=8))['files']\n\
    if any('provenance' in f for f in files):\n\
    \x20print(any(f.get('provenance') for f in files if f['filename']==sys.argv[2]))\n";

/// Asks a registry. `integrity` starts with the name of the archive. None if there is no answer.
pub(super) fn attested(
    dir: &Path,
    python: &str,
    index: &str,
    name: &str,
    integrity: &str,
) -> Option<bool> {
    let file = integrity.split(' ').next()?;
    let address = format!("{}/{name}/", index.trim_end_matches('/'));
    let plain = address.starts_with("http") && !address.contains('@');
    if !plain {
        return None;
    }
    let args = ["-I", "-c", ASK, &address, file];
    let asked = Call::new(python, dir).args(&args).quick(true);
    let answer = asked.output().ok()?;
    match String::from_utf8_lossy(&answer).trim() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}
