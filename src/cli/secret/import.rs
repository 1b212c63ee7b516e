//! `mcpwrap secret import FILE`: stores the values of a `.env` or JSON file.
//!
//! Invariants: values are not shown, and `$NAME` in them is not expanded. Nested JSON objects become
//! names with `/`. If values were skipped, they are listed and the exit code is 1.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::audit::Event;
use crate::cli::{Context, ask, print, print_weak};
use crate::config::Config;
use crate::env_file;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::files::io_text;
use crate::ops::secrets::{self, SecretChange};
use crate::reference::Reference;
use crate::secret::{ProfileName, Secret, SecretName};
use crate::store::{self, Index, Prompt, SecretItem};

/// Larger files are refused (bytes).
const FILE_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File to import: `NAME=value` lines or a JSON object
    file: PathBuf,
    /// Restrict to runs with this profile
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

/// The values of a file, and what is skipped: its name and the reason.
#[derive(Default)]
struct Values {
    taken: Vec<(SecretName, Secret)>,
    left: Vec<(String, String)>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let shown = cx.dirs.tilde(&args.file);
    let Values { taken, left } = read(&args.file, &shown)?;
    let wanted: Vec<_> = taken
        .iter()
        .map(|(name, _)| (Event::SecretSet, name.clone()))
        .collect();
    let actor = secrets::actor(
        &cx.dirs,
        &config,
        "secret import",
        args.yes.then_some("--yes"),
        &wanted,
    )?;
    if !taken.is_empty() {
        let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
        if !args.yes && !ask::confirm(&question(cx, &shown, &taken)?)? {
            return Err(Error::new(
                Code::Declined,
                format!("nothing was imported from `{shown}`"),
            ));
        }
        let mut changes = Vec::with_capacity(taken.len());
        for (name, value) in taken {
            // As in `secret set`, an existing profile is kept.
            let kept = match store.get(&name) {
                Ok(old) => old.profile,
                Err(error) if error.code == Code::SecretNotFound => None,
                Err(error) => return Err(error),
            };
            let profile = args.profile.clone().or(kept);
            changes.push(SecretChange {
                event: Event::SecretSet,
                name,
                item: SecretItem {
                    value,
                    profile,
                    expires: None,
                },
            });
        }
        let prints = secrets::record_and_store(&cx.dirs, &*store, actor, &changes)?;
        for (change, print) in changes.iter().zip(prints) {
            print::line(&format!("stored: {} (fingerprint {print})", change.name));
            if let Some(weakness) = change.item.value.weakness() {
                print_weak::not_masked(&format!("`{}`", change.name), weakness);
            }
        }
        print::note(&format!(
            "the values are still in `{shown}`; run `rm {shown}` after you have tested them"
        ));
    }
    for (name, why) in &left {
        print::warning(&format!("skipped `{name}`: {why}"));
    }
    Ok(if left.is_empty() { 0 } else { EXIT_NO })
}

fn question(cx: &Context, shown: &str, taken: &[(SecretName, Secret)]) -> Result<String> {
    let index = Index::load(&cx.dirs)?;
    let line = |(name, value): &(SecretName, Secret)| {
        let old = if index.secrets.contains_key(name) {
            " (replaces the stored value)"
        } else {
            ""
        };
        let weak = value.weakness().map_or_else(String::new, |weakness| {
            format!(" (not masked: {})", weakness.text())
        });
        format!("  {name}{old}{weak}\n")
    };
    let lines: String = taken.iter().map(line).collect();
    Ok(format!("import from `{shown}`:\n{lines}store them?"))
}

fn read(path: &Path, shown: &str) -> Result<Values> {
    let failed =
        |code, why: String| Error::new(code, format!("cannot import from `{shown}`")).cause(why);
    let bytes = read_bytes(path).map_err(|e| failed(Code::FileUnusable, io_text(&e)))?;
    let Some(bytes) = bytes else {
        let error = failed(Code::FileUnusable, "it is not a regular file".into());
        return Err(error.hint("name a file, or pass the output of a program as `/dev/stdin`"));
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| failed(Code::FileUnusable, "not UTF-8, or larger than 8 MiB".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = Values::default();
    let json = path
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("json"));
    let pairs = if json || text.trim_start().starts_with('{') {
        json_pairs(text).map_err(|why| failed(Code::FileUnusable, why))?
    } else {
        env_pairs(text).map_err(|why| failed(Code::FileUnusable, why))?
    };
    for (name, value) in pairs {
        values.add(&name, value);
    }
    values.taken.sort_by(|one, two| one.0.cmp(&two.0));
    if values
        .taken
        .windows(2)
        .any(|pair| matches!(pair, [one, two] if one.0 == two.0))
    {
        return Err(failed(
            Code::FileUnusable,
            "contains the same name twice".into(),
        ));
    }
    Ok(values)
}

/// The bytes of a file; `None` for a FIFO, a device or a directory. What the shell opened may be a pipe: its writer is
/// there already.
fn read_bytes(path: &Path) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let is_open = ask::is_open_already(path);
    // Opening a FIFO would wait for a writer.
    let flags = if is_open {
        OFlag::empty()
    } else {
        OFlag::O_NONBLOCK
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if !is_open && !file.metadata()?.is_file() {
        return Ok(None);
    }
    let size = usize::try_from(file.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        // Not UTF-8, so that the caller reports it.
        bytes.push(0xff);
    }
    Ok(Some(bytes))
}

impl Values {
    fn add(&mut self, name: &str, value: Option<String>) {
        match judge(name, value) {
            Ok(pair) => self.taken.push(pair),
            Err(why) => {
                let name = crate::error::printable(name).chars().take(80).collect();
                self.left.push((name, why));
            }
        }
    }
}

/// The secret, or why it is skipped.
fn judge(name: &str, value: Option<String>) -> Result<(SecretName, Secret), String> {
    let reference = value.as_deref().filter(|text| text.starts_with("op://"));
    if let Some(Ok(reference)) = reference.map(Reference::new) {
        return Err(format!(
            "a reference to 1Password: write `from = \"{reference}\"` below `[secrets.{name}]` of a policy"
        ));
    }
    let name = SecretName::new(name).map_err(|_| "not a valid secret name")?;
    let text = value.ok_or("not a string")?;
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    if text.contains("${") || text.contains("$(") {
        let why = "contains a reference; run `mcpwrap secret set` to store it unchanged";
        return Err(why.to_owned());
    }
    Ok((name, Secret::new(text.into_bytes())))
}

type Pairs = Vec<(String, Option<String>)>;

fn env_pairs(text: &str) -> Result<Pairs, String> {
    let pairs = env_file::pairs(text)?.into_iter();
    Ok(pairs.map(|(name, value)| (name, Some(value))).collect())
}

fn json_pairs(text: &str) -> Result<Pairs, String> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| format!("not JSON: line {}, column {}", error.line(), error.column()))?;
    let serde_json::Value::Object(object) = value else {
        return Err("not a JSON object of names and values".to_owned());
    };
    let mut pairs = Pairs::new();
    flatten("", object, &mut pairs);
    Ok(pairs)
}

fn flatten(prefix: &str, object: serde_json::Map<String, serde_json::Value>, pairs: &mut Pairs) {
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        match value {
            serde_json::Value::Object(inner) => flatten(&format!("{name}/"), inner, pairs),
            serde_json::Value::String(text) => pairs.push((name, Some(text))),
            _ => pairs.push((name, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(file: &str, text: &str) -> Result<Values> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        crate::files::replace(&path, text.as_bytes()).unwrap();
        read(&path, file)
    }

    #[test]
    fn values_survive() {
        #[track_caller]
        fn case(line: &str, expected: &str) {
            let values = read_text(".env", line).unwrap();
            let [(name, value)] = values.taken.as_slice() else {
                panic!("{:?}", values.left)
            };
            assert_eq!(
                (name.as_str(), value.expose()),
                ("TOKEN", expected.as_bytes())
            );
        }
        case("TOKEN=plain-value", "plain-value");
        case("\u{feff}TOKEN=plain-value\r\n", "plain-value");
        case(
            "# comment\nexport TOKEN='single $quoted #1'",
            "single $quoted #1",
        );
        case("TOKEN=\"two\\nlines\"", "two\nlines");
        case("TOKEN=\"two\nlines\"", "two\nlines");
        case("TOKEN=pa$$word$HOME", "pa$$word$HOME");
        case("TOKEN=a=b=c=long # comment", "a=b=c=long");
    }

    #[test]
    fn json_objects_become_paths() {
        let text = r#"{"github": {"token": "value-one"}, "TOKEN": "a=b\n😀 long", "n": [1]}"#;
        let values = read_text("secrets.json", text).unwrap();
        let names: Vec<_> = values.taken.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["TOKEN", "github/token"]);
        assert_eq!(values.left, [("n".to_owned(), "not a string".to_owned())]);
    }

    #[test]
    fn empty_values_and_references_are_skipped() {
        let text = "PORT=3000\nDEBUG=true\nEMPTY=\nREF=${OTHER_VALUE}\nTOKEN=value-one\n";
        let values = read_text(".env", text).unwrap();
        let taken: Vec<_> = values.taken.iter().map(|(name, _)| name.as_str()).collect();
        let left: Vec<_> = values.left.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(taken, ["DEBUG", "PORT", "TOKEN"]);
        assert_eq!(left, ["EMPTY", "REF"]);
    }

    #[test]
    fn references_of_1password_become_lines_of_a_policy() {
        let text = "TOKEN=\"op://Work/GitHub PAT/token\"\nBAD=op://x\n";
        let values = read_text(".env", text).unwrap();
        let names: Vec<_> = values.taken.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["BAD"]);
        let [(name, why)] = values.left.as_slice() else {
            panic!("{:?}", values.left)
        };
        assert_eq!(name, "TOKEN");
        let line = "`from = \"op://Work/GitHub PAT/token\"` below `[secrets.TOKEN]`";
        assert!(why.contains(line), "{why}");
    }

    #[test]
    fn errors_do_not_repeat_the_file() {
        for (file, text) in [
            (".env", "TOKEN=ok-value-one\nghp_0123456789abcdef\n"),
            (".env", "TOKEN=\"ghp_0123456789abcdef"),
            ("a.json", "{\"TOKEN\": \"ghp_0123456789abcdef"),
            ("a.json", "[\"ghp_0123456789abcdef\"]"),
            (".env", "TOKEN=ghp_0123456789abcdef\nTOKEN=value-two"),
        ] {
            let error = read_text(file, text).err().unwrap();
            assert!(!error.to_string().contains("ghp_"), "{error}");
        }
    }
}
