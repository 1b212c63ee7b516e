//! What the local registry tells of packages besides their archives. By default it has no advisories
//! at all, as many private registries.

use std::collections::BTreeMap;

use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Told {
    /// Package → advisories, as npm's bulk endpoint has them. None: there is no such endpoint.
    pub(super) npm: Option<BTreeMap<String, Vec<Value>>>,
    /// `NAME/VERSION` → vulnerabilities, as PyPI's JSON interface has them. None: there is none.
    pub(super) pypi: Option<BTreeMap<String, Vec<Value>>>,
    /// `NAME@VERSION` → the publisher's text.
    pub(super) deprecated: BTreeMap<String, String>,
    /// `NAME@VERSION` that have an attestation.
    pub(super) attested: Vec<String>,
    /// Whether each version has a signature of the registry, as at the main one.
    pub(super) signed: bool,
    /// Names of withdrawn Python archives, with the reason.
    pub(super) yanked: BTreeMap<String, String>,
}

impl Told {
    /// An advisory of npm for these versions.
    pub(super) fn advise(&mut self, name: &str, range: &str, severity: &str) {
        let advisory = json!({
            "id": 1, "url": "https://github.com/advisories/GHSA-aaaa", "title": "It is bad",
            "severity": severity, "vulnerable_versions": range, "cwe": [],
            "cvss": { "score": 0, "vectorString": null },
        });
        let all = self.npm.get_or_insert_default();
        all.entry(name.to_owned()).or_default().push(advisory);
    }

    /// Adds what is known of a version to its manifest.
    pub(super) fn add_to(&self, name: &str, version: &str, manifest: &mut Value) {
        let key = format!("{name}@{version}");
        if let Some(why) = self.deprecated.get(&key) {
            manifest["deprecated"] = json!(why);
        }
        if self.attested.contains(&key) {
            manifest["dist"]["attestations"] = json!({ "url": "https://r.example/x" });
        }
        if self.signed {
            manifest["dist"]["signatures"] = json!([{ "keyid": "SHA256:x", "sig": "MEU" }]);
        }
    }

    /// The answer for one of the paths that are about advisories.
    pub(super) fn body(&self, path: &str) -> Option<Vec<u8>> {
        if path == "/-/npm/v1/security/advisories/bulk" {
            return Some(json!(self.npm.as_ref()?).to_string().into_bytes());
        }
        let key = path.strip_prefix("/pypi/")?.strip_suffix("/json")?;
        let found = self.pypi.as_ref()?.get(key).cloned().unwrap_or_default();
        Some(
            json!({ "info": {}, "vulnerabilities": found })
                .to_string()
                .into_bytes(),
        )
    }
}
