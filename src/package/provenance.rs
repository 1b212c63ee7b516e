//! What a Python registry tells of an archive: whether it has a signed attestation of where it was
//! built (PEP 740), and whether it was withdrawn (PEP 592).
//!
//! The Python that will run the package asks the registry's list of files: it has the user's
//! proxies and certificates. No password is sent, and no answer is not an error.

use std::path::Path;

use serde_json::Value;

use super::advisory::PublishedStatus;
use super::client::Call;

/// Prints what is known of the file, and whether the registry has attestations at all for the
/// package.
const ASK: &str = "import json,sys,urllib.request as u\n\
    kind='application/vnd.pypi.simple.v1+json'\n\
    q=u.Request(sys.argv[1],headers={'Accept':kind})\n\
    files=json.load(u.urlopen(q,timeout=8))['files']\n\
    own=[f for f in files if f['filename']==sys.argv[2]]\n\
    tells=any('provenance' in f for f in files)\n\
    json.dump({'there':bool(own),\n\
    'attested':any(f.get('provenance') for f in own) if tells else None,\n\
    'yanked':next((f['yanked'] for f in own if f.get('yanked')),False)},sys.stdout)\n";

/// What is known of an archive.
pub(super) struct ArchiveFacts {
    /// None: the registry does not tell.
    pub(super) attested: Option<bool>,
    pub(super) status: PublishedStatus,
}

impl ArchiveFacts {
    /// Why the archive was withdrawn, if it was.
    pub(super) fn yanked(&self) -> Option<String> {
        match &self.status {
            PublishedStatus::Yanked(why) => Some(why.clone()),
            _ => None,
        }
    }
}

/// Asks a registry. `integrity` starts with the name of the archive. None if there is no answer.
pub(super) fn archive_facts(
    dir: &Path,
    python: &str,
    index: &str,
    name: &str,
    integrity: &str,
) -> Option<ArchiveFacts> {
    let file = integrity.split(' ').next()?;
    let address = format!("{}/{name}/", index.trim_end_matches('/'));
    let plain = address.starts_with("http") && !address.contains('@');
    if !plain {
        return None;
    }
    let args = ["-I", "-c", ASK, &address, file];
    let asked = Call::new(python, dir).args(&args).quick(true);
    let answer: Value = serde_json::from_slice(&asked.output().ok()?).ok()?;
    let status = match answer.get("yanked")? {
        Value::String(why) if !why.is_empty() => PublishedStatus::Yanked(why.clone()),
        Value::Bool(false) if !answer.get("there")?.as_bool()? => PublishedStatus::Removed,
        Value::Bool(false) => PublishedStatus::Current,
        _ => PublishedStatus::Yanked("no reason given".to_owned()),
    };
    Some(ArchiveFacts {
        attested: answer.get("attested")?.as_bool(),
        status,
    })
}
