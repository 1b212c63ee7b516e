//! A file or a directory of advisories in the OSV format, for use without asking a registry.
//!
//! Invariants: a malformed record is an error, so that none is passed over; a registry of which the
//! file has no record counts as not looked up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::error::Category;

use super::Registry;
use super::advisory::{Advisory, AdvisoryAnswer, AdvisoryMatch, LockedPackages, count};
use super::osv_range::OsvAffected;
use super::osv_severity::{OsvScore, OsvWord, severity};
use super::uv_lock::normal;
use crate::error::{Code, Error, Result};
use crate::files::io_text;

/// One record.
#[derive(Debug, Deserialize)]
struct OsvRecord {
    id: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Vec<OsvScore>,
    #[serde(default)]
    database_specific: Option<OsvWord>,
    #[serde(default)]
    affected: Vec<OsvAffected>,
    #[serde(default)]
    references: Vec<OsvReference>,
}

#[derive(Debug, Deserialize)]
struct OsvReference {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

/// The advisories of a file.
#[derive(Debug)]
pub struct AdvisoryFile {
    path: PathBuf,
    records: Vec<OsvRecord>,
    /// The name of a package → which record, and which part of it.
    npm: BTreeMap<String, Vec<(usize, usize)>>,
    pypi: BTreeMap<String, Vec<(usize, usize)>>,
}

impl AdvisoryFile {
    /// Reads a file (an array, or records one after the other), or all `.json` files of a directory.
    ///
    /// # Errors
    /// `file-unusable`: unreadable, or not OSV.
    pub fn read(path: &Path) -> Result<Self> {
        let mut records = Vec::new();
        if path.is_dir() {
            for file in json_files(path)? {
                records.extend(read_file(&file)?);
            }
        } else {
            records = read_file(path)?;
        }
        if records.is_empty() {
            return Err(unusable(path).cause("it has no record").hint(FORMAT));
        }
        let mut file = Self {
            path: path.to_path_buf(),
            records,
            npm: BTreeMap::new(),
            pypi: BTreeMap::new(),
        };
        for (at, record) in file.records.iter().enumerate() {
            for (part, affected) in record.affected.iter().enumerate() {
                let Some(package) = &affected.package else {
                    continue;
                };
                // `PyPI:suffix` is a part of PyPI.
                let ecosystem = package.ecosystem.split(':').next().unwrap_or_default();
                let (index, name) = match ecosystem {
                    "npm" => (&mut file.npm, package.name.clone()),
                    "PyPI" => (&mut file.pypi, normal(&package.name)),
                    _ => continue,
                };
                index.entry(name).or_default().push((at, part));
            }
        }
        Ok(file)
    }

    /// The advisories for these packages.
    pub(super) fn advisories(&self, registry: Registry, locked: &LockedPackages) -> AdvisoryAnswer {
        let (index, ecosystem) = if registry == Registry::Pypi {
            (&self.pypi, "PyPI")
        } else {
            (&self.npm, "npm")
        };
        if index.is_empty() {
            let path = self.path.display();
            return AdvisoryAnswer::untold(format!("`{path}` has no advisory for {ecosystem}"));
        }
        let mut found = Vec::new();
        for (name, versions) in locked {
            let key = if registry == Registry::Pypi {
                normal(name)
            } else {
                name.clone()
            };
            for (at, part) in index.get(&key).into_iter().flatten() {
                let Some(record) = self.records.get(*at) else {
                    continue;
                };
                let affected = record.affected.get(*part);
                for version in versions.keys() {
                    let affected = affected.map(|one| one.affects(registry, version));
                    if let Some(affected) = affected.and_then(AdvisoryMatch::affected) {
                        found.push(record.advisory(name, version, affected.fixed));
                    }
                }
            }
        }
        let answer = AdvisoryAnswer {
            found,
            packages: count(locked),
            untold: Vec::new(),
        };
        answer.sorted()
    }
}

impl OsvRecord {
    fn advisory(&self, name: &str, version: &str, fixed: Option<String>) -> Advisory {
        let word = self.database_specific.as_ref();
        let page = self.references.iter().find(|one| one.kind == "ADVISORY");
        let page = page.or(self.references.first());
        Advisory {
            package: name.to_owned(),
            version: version.to_owned(),
            severity: severity(&self.id, word, &self.severity),
            id: self.id.clone(),
            title: self.summary.clone(),
            url: page.map_or_else(
                || format!("https://osv.dev/vulnerability/{}", self.id),
                |page| page.url.clone(),
            ),
            fixed,
        }
    }
}

const FORMAT: &str = "use OSV records (https://ossf.github.io/osv-schema): a JSON array, one record \
                      per line, or a directory of .json files";

fn unusable(path: &Path) -> Error {
    let what = format!("cannot read advisories from `{}`", path.display());
    Error::new(Code::FileUnusable, what)
}

/// The `.json` files of a directory.
fn json_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| unusable(dir).cause(io_text(&error));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<OsvRecord>> {
    let unreadable = |error: std::io::Error| {
        unusable(path)
            .cause(io_text(&error))
            .hint("use a file or a directory that exists and that you may read")
    };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    parse(&text).map_err(|cause| unusable(path).cause(cause).hint(FORMAT))
}

/// The records that are not withdrawn.
fn parse(text: &str) -> std::result::Result<Vec<OsvRecord>, String> {
    let is_array = text.trim_start().starts_with('[');
    let records = if is_array {
        serde_json::from_str::<Vec<OsvRecord>>(text)
    } else {
        serde_json::Deserializer::from_str(text)
            .into_iter::<OsvRecord>()
            .collect()
    };
    let mut records = records.map_err(|error| {
        let message = error.to_string();
        let what = match error.classify() {
            Category::Eof => "it ends too early",
            // Other messages quote the file.
            Category::Data if message.starts_with("missing field") => {
                message.split(" at line ").next().unwrap_or_default()
            }
            Category::Data => "a value has the wrong type",
            Category::Syntax | Category::Io => "invalid JSON",
        };
        format!("line {}: {what}", error.line())
    })?;
    records.retain(|record| record.withdrawn.is_none());
    Ok(records)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        crate::files::replace(path.as_ref(), text.as_ref()).unwrap();
    }

    fn record(id: &str, ecosystem: &str, name: &str) -> Value {
        json!({
            "id": id, "summary": "Bad", "modified": "2026-01-01T00:00:00Z",
            "database_specific": {"severity": "HIGH"},
            "references": [{"type": "WEB", "url": "https://w"}, {"type": "ADVISORY", "url": "https://a"}],
            "affected": [{
                "package": {"ecosystem": ecosystem, "name": name},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
            }],
        })
    }

    fn locked(name: &str, version: &str) -> LockedPackages {
        let versions = BTreeMap::from([(version.to_owned(), String::new())]);
        LockedPackages::from([(name.to_owned(), versions)])
    }

    #[test]
    fn each_form_has_the_same_records() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (
            record("A-1", "npm", "left"),
            record("A-2", "PyPI", "Left_Pad"),
        );
        let forms = dir.path().join("forms");
        crate::files::ensure_dir(&forms).unwrap();
        write(forms.join("a.json"), format!("{one:#}"));
        write(forms.join("b.json"), other.to_string());
        write(forms.join("c.txt"), "not read");
        let array = dir.path().join("array.json");
        write(&array, json!([one, other]).to_string());
        let lines = dir.path().join("lines.json");
        write(&lines, format!("{one}\n{other}\n"));
        for path in [&forms, &array, &lines] {
            let file = AdvisoryFile::read(path).unwrap();
            let npm = file.advisories(Registry::Npm, &locked("left", "1.0.0"));
            assert_eq!((npm.found.len(), npm.packages), (1, 1), "{npm:?}");
            assert_eq!(npm.found[0].summary(), "Bad (A-1), fixed in 2.0.0");
            assert_eq!(npm.found[0].url, "https://a");
            let fixed = file.advisories(Registry::Npm, &locked("left", "2.0.0"));
            assert!(fixed.found.is_empty() && fixed.packages == 1);
            let python = file.advisories(Registry::Pypi, &locked("left-pad", "1.0"));
            assert_eq!(python.found[0].id, "A-2");
        }
    }

    #[test]
    fn a_file_without_the_registry_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("npm.json");
        write(&path, record("A-1", "npm", "left").to_string());
        let file = AdvisoryFile::read(&path).unwrap();
        let python = file.advisories(Registry::Pypi, &locked("left", "1.0"));
        assert_eq!(python.packages, 0);
        assert!(
            python.untold[0].contains("no advisory for PyPI"),
            "{python:?}"
        );
    }

    #[test]
    fn a_malformed_file_is_an_error() {
        for (text, cause) in [
            (
                "{\"affected\": []}".to_owned(),
                "line 1: missing field `id`",
            ),
            ("[{\"id\": \"A-1\"".to_owned(), "line 1: it ends too early"),
            ("nothing".to_owned(), "line 1: invalid JSON"),
            (
                "[\n\"quoted\"]".to_owned(),
                "line 2: a value has the wrong type",
            ),
            ("[]".to_owned(), "it has no record"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.json");
            write(&path, &text);
            let error = AdvisoryFile::read(&path).unwrap_err().text();
            assert!(
                error.contains(cause) && error.contains("osv-schema"),
                "{error}"
            );
        }
        let mut withdrawn = record("A-1", "npm", "left");
        withdrawn["withdrawn"] = json!("2026-01-01T00:00:00Z");
        assert!(parse(&withdrawn.to_string()).unwrap().is_empty());
    }
}
