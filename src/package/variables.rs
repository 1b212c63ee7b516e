//! Which variables the code of a server reads, found in its text.
//!
//! Nothing is run: a name that is computed is not found, and one in dead code is. Only the names that
//! the caller asks about are searched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::directory::directory;
use super::imports;
use super::tree::{self, NodeKind};
use crate::dirs::Dirs;
use crate::policy::Policy;
use crate::policy::ambient::{chooses, is_harmless};
use crate::policy::package::PackageSource;

/// A larger file of text is not read (bytes).
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// A larger program is not read (bytes).
const PROGRAM_BYTES_MAX: u64 = 256 << 20;
/// Not more is read (bytes).
const BYTES_MAX: u64 = 512 << 20;
/// A program has the names of variables without anything between them, so short ones occur by chance.
const IN_PROGRAM_LENGTH_MIN: usize = 8;
/// How far before a quoted name the word `env` may stand (bytes).
const BEFORE: usize = 24;
/// How far after a name its destructuring may end (bytes).
const AFTER: usize = 400;

/// Which of these names the code of a server reads, as far as its files show; `None` if there are no
/// files to look into. `own` are the files that the command names.
pub fn read_by(
    policy: &Policy,
    dirs: &Dirs,
    own: &[PathBuf],
    names: &[String],
) -> Option<BTreeSet<String>> {
    let package = policy.package.as_ref();
    let package = package
        .filter(|package| matches!(package.registry, PackageSource::Npm | PackageSource::Pypi));
    if package.is_none() && own.is_empty() {
        return None;
    }
    let mut found = BTreeSet::new();
    let mut left = BYTES_MAX;
    if let Some(package) = package {
        let root = directory(&dirs.packages(), package).join("tree");
        let own = Path::new("node_modules").join(&package.name);
        let search = NameSearch::new(names, None)?;
        for (path, kind) in tree::entries(&root).ok()? {
            if kind != NodeKind::File {
                continue;
            }
            let is_own = path
                .strip_prefix(&own)
                .is_ok_and(|rest| !rest.starts_with("node_modules"));
            let whole = if is_own { Whole::Passed } else { Whole::Never };
            search.file(&root.join(path), whole, &mut left, &mut found);
        }
        return Some(found);
    }
    let mut files: BTreeSet<PathBuf> = own.iter().cloned().collect();
    files.extend(own.iter().flat_map(|file| imports::of(file)));
    // A few files: the automaton that is made fastest is the fastest.
    let search = NameSearch::new(names, Some(AhoCorasickKind::NoncontiguousNFA))?;
    for file in &files {
        search.file(file, Whole::Inherited, &mut left, &mut found);
    }
    Some(found)
}

/// What counts as reading all variables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Never,
    /// All of them are passed on to something.
    Passed,
    /// The same, and starting a program, which inherits them.
    Inherited,
}

struct NameSearch<'a> {
    names: &'a [String],
    automaton: AhoCorasick,
}

impl<'a> NameSearch<'a> {
    fn new(names: &'a [String], kind: Option<AhoCorasickKind>) -> Option<Self> {
        let automaton = AhoCorasick::builder().kind(kind).build(names).ok()?;
        (!names.is_empty()).then_some(Self { names, automaton })
    }

    fn file(&self, path: &Path, whole: Whole, left: &mut u64, found: &mut BTreeSet<String>) {
        let Ok(meta) = fs::metadata(path) else { return };
        let is_code = path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| {
                [
                    "js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "py", "sh", "rb", "php",
                    "pl", "lua",
                ]
                .contains(&ending)
            });
        let is_executable =
            std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
        let max = if is_code {
            TEXT_BYTES_MAX
        } else {
            PROGRAM_BYTES_MAX
        };
        // A tree of packages has many files of data; a file that the command names is code.
        let is_wanted = is_code || is_executable || whole == Whole::Inherited;
        if !is_wanted || meta.len() > max.min(*left) {
            return;
        }
        let Ok(bytes) = fs::read(path) else { return };
        *left = left.saturating_sub(meta.len());
        if is_program(&bytes) {
            self.program(&bytes, found);
            return;
        }
        let all = match whole {
            Whole::Never => false,
            Whole::Passed => passes_all(&bytes),
            Whole::Inherited => passes_all(&bytes) || starts_programs(&bytes),
        };
        for name in self
            .names
            .iter()
            .filter(|name| all && (chooses(name) || is_harmless(name)))
        {
            found.insert(name.clone());
        }
        for one in self.automaton.find_overlapping_iter(&bytes) {
            let Some(name) = self.names.get(one.pattern().as_usize()) else {
                continue;
            };
            if !found.contains(name) && is_read(&bytes, one.start(), one.end(), chooses(name)) {
                found.insert(name.clone());
            }
        }
    }

    fn program(&self, bytes: &[u8], found: &mut BTreeSet<String>) {
        for one in self.automaton.find_overlapping_iter(bytes) {
            let name = self.names.get(one.pattern().as_usize());
            let certain = |name: &&String| name.len() >= IN_PROGRAM_LENGTH_MIN && chooses(name);
            found.extend(name.filter(certain).cloned());
        }
    }
}

/// The first bytes of ELF and Mach-O files.
fn is_program(bytes: &[u8]) -> bool {
    [&b"\x7fELF"[..], b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"]
        .iter()
        .any(|magic| bytes.starts_with(magic))
}

/// Whether the name at this place is read as a variable. One that chooses something is, if it is
/// quoted: libraries keep such names in tables.
fn is_read(bytes: &[u8], start: usize, end: usize, chooses: bool) -> bool {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let (before, after) = (start.checked_sub(1).map_or(b' ', byte), byte(end));
    if is_word(before) || is_word(after) {
        return false;
    }
    let head = bytes
        .get(start.saturating_sub(BEFORE)..start)
        .unwrap_or_default();
    let head = head.to_ascii_lowercase();
    let tail = bytes
        .get(end..bytes.len().min(end + AFTER))
        .unwrap_or_default();
    if [&b"env."[..], b"env?.", b"environ."]
        .iter()
        .any(|dot| head.ends_with(dot))
    {
        return true;
    }
    if b"\"'`".contains(&before) && after == before {
        // Of the same call.
        let call = head.rsplit(|b| b"\n;)".contains(b)).next();
        let is_key = call.is_some_and(|call| memchr::memmem::find(call, b"env").is_some());
        let is_tested = tail.get(1..).is_some_and(|tail| {
            [&b" in env"[..], b" in process.env", b" in os.environ"]
                .iter()
                .any(|text| tail.starts_with(text))
        });
        return chooses || is_key || is_tested;
    }
    // `const { NAME, OTHER } = process.env`.
    let rest = tail.split(|b| *b == b';').next().unwrap_or_default();
    let source = memchr::memmem::find(rest, b"process.env");
    let closed = rest.iter().position(|b| *b == b'}');
    let is_taken = source.zip(closed).is_some_and(|(source, closed)| {
        let between = rest.get(closed + 1..source).unwrap_or(b"x");
        closed < source && between.iter().all(|b| b" =\n\t".contains(b))
    });
    // `$NAME` of a shell.
    is_taken || before == b'$' || head.ends_with(b"${")
}

/// Whether all variables are passed on: `{...process.env}`, `env=os.environ`, `dict(os.environ)`.
fn passes_all(bytes: &[u8]) -> bool {
    let all = |name: &[u8], goes_on: &[u8]| {
        memchr::memmem::find_iter(bytes, name).any(|at| {
            let next = bytes.get(at + name.len()).copied().unwrap_or(b' ');
            !goes_on.contains(&next) && !next.is_ascii_alphanumeric() && next != b'_'
        })
    };
    all(b"process.env", b".[?\"'`") || all(b"os.environ", b".[") || all(b"os.environ.copy", b"")
}

/// Whether it starts programs, which inherit all variables.
fn starts_programs(bytes: &[u8]) -> bool {
    let starts = [
        &b"child_process"[..],
        b"subprocess",
        b"os.system",
        b"execa",
        b"Bun.spawn",
    ];
    let is_shell = bytes.starts_with(b"#!") && {
        let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        line.ends_with(b"sh") || line.ends_with(b"sh -e")
    };
    is_shell
        || starts
            .iter()
            .any(|text| memchr::memmem::find(bytes, text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str, names: &[&str], whole: Whole) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.js");
        crate::files::replace(&path, text.as_bytes()).unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut found = BTreeSet::new();
        let mut left = BYTES_MAX;
        NameSearch::new(&names, None)
            .unwrap()
            .file(&path, whole, &mut left, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn names_are_found_where_they_are_read() {
        for text in [
            "process.env.REGION_X",
            "process.env?.REGION_X || 1",
            "process.env['REGION_X']",
            "const { A, REGION_X: r, B } = process.env;",
            "os.environ[\"REGION_X\"]",
            "os.environ.get('REGION_X')",
            "os.getenv(\"REGION_X\", 1)",
            "os.Getenv(\"REGION_X\")",
            "std::env::var(\"REGION_X\")",
            "ENV[\"REGION_X\"]",
            "\"REGION_X\" in process.env",
            "echo ${REGION_X:-1} $OTHER",
        ] {
            assert_eq!(
                reads(text, &["REGION_X"], Whole::Never),
                ["REGION_X"],
                "{text}"
            );
        }
        for text in [
            "process.env.REGION_X2",
            "process.env.MY_REGION_X",
            "level(\"REGION_X\")",
            "// REGION_X is a name",
            "const { REGION_X } = options; process.env.A",
        ] {
            assert_eq!(reads(text, &["REGION_X"], Whole::Never), [""; 0], "{text}");
        }
        // A table of names.
        assert_eq!(
            reads("profile: ['AWS_PROFILE']", &["AWS_PROFILE"], Whole::Never),
            ["AWS_PROFILE"]
        );
    }

    #[test]
    fn what_passes_everything_on_reads_everything() {
        let names = ["KUBECONFIG", "DISPLAY", "OTHER_NAME"];
        for text in [
            "spawn(x, { env: { ...process.env } })",
            "dict(os.environ)",
            "env = os.environ.copy()",
        ] {
            assert_eq!(
                reads(text, &names, Whole::Passed),
                ["DISPLAY", "KUBECONFIG"],
                "{text}"
            );
            assert_eq!(reads(text, &names, Whole::Never), [""; 0], "{text}");
        }
        let starts = "require('child_process')";
        assert_eq!(reads(starts, &names, Whole::Inherited).len(), 2);
        assert_eq!(reads(starts, &names, Whole::Passed), [""; 0]);
        assert_eq!(
            reads("process.env.A; os.environ['B']", &names, Whole::Passed),
            [""; 0]
        );
    }

    #[test]
    fn programs_are_searched_for_names_that_choose() {
        let text = "\u{7f}ELF..GOROOTKUBECONFIGDISPLAYx";
        assert_eq!(
            reads(text, &["KUBECONFIG", "DISPLAY", "GOROOT"], Whole::Inherited),
            ["KUBECONFIG"]
        );
    }
}
