//! Compares an installed tree with the archives that its client unpacked.
//!
//! A client that cannot write a file may warn and go on (npm on a full disk), and nothing later
//! would notice: the digest of a damaged tree is as good as another one.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::tree;
use crate::parallel;
use crate::secret::hex;

/// The largest program whose first line npm may have corrected (bytes).
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Packages of which every file equals that in the archive.
    pub(super) packages: usize,
    /// Packages whose archive is not in the client's cache.
    pub(super) without_archive: usize,
}

/// Compares the packages of a `package-lock.json` below `root` with the archives in npm's cache.
/// An optional package for another platform is not installed, and not compared.
///
/// # Errors
/// A file that is missing or differs.
pub(super) fn compare_npm(root: &Path, lock: &Value, cache: &Path) -> io::Result<Compared> {
    let packages = lock.get("packages").and_then(Value::as_object);
    let packages: Vec<_> = packages.into_iter().flatten().collect();
    let (equal, without_archive) = (AtomicUsize::new(0), AtomicUsize::new(0));
    parallel::compute(&packages, |(path, entry)| {
        let compared = match compare_package(root, path, entry, cache)? {
            Some(true) => &equal,
            Some(false) => &without_archive,
            None => return Ok(()),
        };
        compared.fetch_add(1, Ordering::Relaxed);
        Ok::<_, io::Error>(())
    })?;
    Ok(Compared {
        packages: equal.into_inner(),
        without_archive: without_archive.into_inner(),
    })
}

/// Whether a package equals its archive, or has none. `None`: it is not to be compared.
fn compare_package(
    root: &Path,
    path: &str,
    entry: &Value,
    cache: &Path,
) -> io::Result<Option<bool>> {
    let integrity = entry.get("integrity").and_then(Value::as_str);
    let Some(integrity) = integrity.filter(|_| !path.is_empty()) else {
        return Ok(None);
    };
    let dir = root.join(path);
    let is = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
    if !dir.is_dir() {
        // npm locks an optional peer that nothing else wants, and does not install it.
        if is("optional") || is("extraneous") {
            return Ok(None);
        }
        return Err(io::Error::other(format!("`{path}` is not there")));
    }
    let Some(archive) = content(cache, integrity).and_then(|path| File::open(path).ok()) else {
        return Ok(Some(false));
    };
    compare_archive(&dir, archive)
        .map_err(|error| io::Error::other(format!("`{path}`: {error}")))?;
    Ok(Some(true))
}

/// Where npm's cache keeps the archive with this hash. Source: cacache.
fn content(cache: &Path, integrity: &str) -> Option<PathBuf> {
    let (algorithm, hash) = integrity.split_whitespace().next()?.split_once('-')?;
    let bytes = STANDARD.decode(hash).ok()?;
    let digits = hex(&bytes);
    let (first, rest) = digits.split_at_checked(2)?;
    let (second, rest) = rest.split_at_checked(2)?;
    let place = cache.join("_cacache/content-v2").join(algorithm);
    Some(place.join(first).join(second).join(rest))
}

/// Compares the files of one archive with a directory, as npm unpacks it: without the first part of
/// each name, and without links.
fn compare_archive(dir: &Path, archive: File) -> io::Result<()> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(io::BufReader::new(archive)));
    let mut last = std::collections::BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.into_owned();
        let mut parts = name.components();
        parts.next();
        let name = parts.as_path().to_path_buf();
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.as_os_str().is_empty() || !name.components().all(plain) {
            continue;
        }
        let mut head = Vec::new();
        entry
            .by_ref()
            .take(SCRIPT_BYTES_MAX)
            .read_to_end(&mut head)?;
        let mut hash = Sha256::new_with_prefix(&head);
        let mut allowed = Vec::new();
        if head.len() as u64 == entry.size() {
            allowed.extend(unix_first_line(&head).map(|text| hex(&Sha256::digest(&text))));
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            match entry.read(&mut buffer)? {
                0 => break,
                count => hash.update(buffer.get(..count).unwrap_or_default()),
            }
        }
        allowed.push(hex(&hash.finalize()));
        // An archive may have a name twice; the last one is unpacked.
        last.insert(name, allowed);
    }
    for (name, allowed) in last {
        let mut file = dir.join(&name);
        if name.file_name().is_some_and(|name| name == ".gitignore") && !file.exists() {
            // npm renames it.
            file.set_file_name(".npmignore");
        }
        match tree::file_digest(&file) {
            Ok(found) if allowed.contains(&found) => {}
            Ok(_) => {
                let size = fs::metadata(&file).map_or(0, |meta| meta.len());
                return Err(io::Error::other(format!(
                    "`{}` differs from the archive ({size} bytes on disk)",
                    name.display()
                )));
            }
            Err(error) => {
                return Err(io::Error::other(format!("`{}`: {error}", name.display())));
            }
        }
    }
    Ok(())
}

/// A program whose first line ends as on Windows, as npm corrects it.
fn unix_first_line(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let first = bytes.get(..end)?.strip_suffix(b"\r")?;
    let rest = bytes.get(end..)?;
    first.starts_with(b"#!").then(|| [first, rest].concat())
}

/// Compares the files of a Python environment with the hashes in the `RECORD` of each package.
/// Returns how many packages were compared.
///
/// # Errors
/// A file that is missing or differs.
pub(super) fn compare_python(root: &Path) -> io::Result<usize> {
    // A package may bring another one's list along; its own list has those files.
    let site = |path: &Path| {
        let site = path.parent().and_then(Path::parent)?;
        let is_list = path.ends_with("RECORD") && site.ends_with("site-packages");
        is_list.then(|| root.join(site))
    };
    let entries = tree::entries(root)?;
    let lists = entries.iter().map(|(path, _)| path);
    let lists: Vec<_> = lists
        .filter_map(|path| Some((root.join(path), site(path)?)))
        .collect();
    let mut files = Vec::new();
    for (list, site) in &lists {
        let text = fs::read_to_string(list)?;
        let listed = text.lines().filter_map(listed);
        files.extend(listed.map(|(name, hash)| (site, name, hash)));
    }
    parallel::compute(&files, |(site, name, hash)| {
        let failed = |what: &str| io::Error::other(format!("`{name}` {what}"));
        let found = tree::file_digest(&site.join(name));
        if found.map_err(|error| failed(&error.to_string()))? != *hash {
            return Err(failed("differs from the package's own list"));
        }
        Ok(())
    })?;
    Ok(lists.len())
}

/// Name and hash of a file in a `RECORD`.
fn listed(line: &str) -> Option<(String, String)> {
    let (rest, _size) = line.rsplit_once(',')?;
    let (name, hash) = rest.rsplit_once(',')?;
    let name = name.trim_matches('"');
    // Programs are rewritten for the environment, and byte code has no hash.
    let hash = hash
        .strip_prefix("sha256=")
        .filter(|_| !name.starts_with("../"))?;
    let expected = URL_SAFE_NO_PAD.decode(hash).unwrap_or_default();
    Some((name.to_owned(), hex(&expected)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sha2::Sha512;

    fn put(path: &Path, bytes: &[u8]) {
        crate::files::replace(path, bytes).unwrap();
    }

    /// A package in npm's cache, and unpacked.
    fn npm() -> (tempfile::TempDir, Value) {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        for (name, text) in [("package/a.js", "first"), ("package/lib/.gitignore", "x")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes)));
        let place = content(dir.path(), &integrity).unwrap();
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        put(&place, bytes.as_ref());
        let package = dir.path().join("node_modules/a");
        fs::create_dir_all(package.join("lib")).unwrap();
        put(&package.join("a.js"), "first".as_ref());
        put(&package.join("lib/.npmignore"), "x".as_ref());
        let lock = json!({ "packages": {
            "": {}, "node_modules/a": { "integrity": integrity },
            "node_modules/other": { "integrity": "sha512-AAAA", "optional": true },
            "node_modules/peer": { "integrity": "sha512-AAAA", "extraneous": true },
        } });
        (dir, lock)
    }

    #[test]
    fn each_file_of_an_npm_package_is_compared() {
        let (dir, lock) = npm();
        let root = dir.path();
        let all = Compared {
            packages: 1,
            without_archive: 0,
        };
        assert_eq!(compare_npm(root, &lock, root).unwrap(), all);
        let file = root.join("node_modules/a/a.js");
        put(&file, "".as_ref());
        let said = compare_npm(root, &lock, root).unwrap_err().to_string();
        assert!(
            said.contains("`a.js` differs") && said.contains("(0 bytes"),
            "{said}"
        );
        fs::remove_file(&file).unwrap();
        assert!(compare_npm(root, &lock, root).is_err());
        let none = compare_npm(root, &lock, &root.join("absent")).unwrap();
        assert_eq!((none.packages, none.without_archive), (0, 1));
    }

    #[test]
    fn npm_corrects_the_first_line_of_a_program() {
        let unix = |text: &str| unix_first_line(text.as_bytes());
        assert_eq!(
            unix("#!/usr/bin/env node\r\na\r\n").unwrap(),
            b"#!/usr/bin/env node\na\r\n"
        );
        assert!(unix("#!/usr/bin/env node\na\r\n").is_none() && unix("a\r\n").is_none());
    }

    #[test]
    fn each_file_of_a_python_package_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/python3/site-packages");
        fs::create_dir_all(site.join("a-1.dist-info")).unwrap();
        put(&site.join("a.py"), "first".as_ref());
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(b"first"));
        let record =
            format!("a.py,sha256={hash},5\n../../../bin/a,sha256=AA,1\na-1.dist-info/RECORD,,\n");
        put(&site.join("a-1.dist-info/RECORD"), record.as_ref());
        let brought = site.join("a/_vendor/b-1.dist-info");
        fs::create_dir_all(&brought).unwrap();
        let record = format!("bin/b,sha256={hash},5\n");
        put(&brought.join("RECORD"), record.as_ref());
        assert_eq!(compare_python(dir.path()).unwrap(), 1);
        put(&site.join("a.py"), "".as_ref());
        assert!(compare_python(dir.path()).is_err());
    }
}
