//! Asks a Python registry for advisories, through PyPI's JSON interface (`/pypi/NAME/VERSION/json`).
//!
//! Python asks, as in `provenance`. Registries without this interface do not tell. No password is
//! sent.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::advisory::{Advisory, AdvisoryAnswer, LockedPackages};
use super::client::Call;
use super::uv_lock::{index, indexes};
use super::{ParsedCommand, pip_lock};

/// The limit of all that is asked; the helper itself ends before.
const LIMIT: Duration = Duration::from_secs(10);

/// Options of uvx that name the registry. pip's lock does not record it.
const INDEX: &[&str] = &["--default-index", "-i", "--index-url"];

/// Prints one line for each `NAME==VERSION`: a JSON array of the name, the version and what is known
/// of it, or null. If the registry does not know the first one's advisories, it is not asked again. Its name is looked
/// up once: some resolvers lose one of several questions at once.
const ASK: &str = "import concurrent.futures as c,functools as f,json,os,socket as s,sys,urllib.request as u\n\
    s.getaddrinfo=f.lru_cache(s.getaddrinfo)\n\
    base,first,*rest=sys.argv[1:]\n\
    def ask(p):\n\
    \x20name,_,version=p.partition('==')\n\
    \x20try:\n\
    \x20 page=json.load(u.urlopen(base+'/pypi/'+name+'/'+version+'/json',timeout=4))\n\
    \x20 found=page['vulnerabilities']\n\
    \x20except Exception: found=None\n\
    \x20sys.stdout.write(json.dumps([name,version,found])+'\\n')\n\
    \x20return found is not None\n\
    if ask(first):\n\
    \x20pool=c.ThreadPoolExecutor(8)\n\
    \x20c.wait([pool.submit(ask,p) for p in rest],timeout=4)\n\
    sys.stdout.flush()\n\
    os._exit(0)\n";

/// Asks for the packages of a lock, the main one first.
pub(super) fn advisories(
    dir: &Path,
    python: &str,
    lock: &str,
    launch: &ParsedCommand,
    (main, locked): (&str, &LockedPackages),
) -> AdvisoryAnswer {
    let known = known_index(dir, python, lock, launch, main);
    let Some(base) = known.as_deref().and_then(base) else {
        return AdvisoryAnswer::untold("this registry does not tell: not PyPI's interface");
    };
    // Another registry is not asked, and its packages are not named to this one. pip's lock names
    // none.
    let indexes = indexes(lock);
    let is_here = |name: &str| {
        let own = indexes.as_ref().map(|all| all.get(name));
        own.is_none_or(|own| own == known.as_ref())
    };
    let all = locked.iter().flat_map(|(name, versions)| {
        let pair = move |version: &String| format!("{name}=={version}");
        versions.keys().map(pair).map(move |pair| (name, pair))
    });
    let (mut pairs, elsewhere): (Vec<_>, Vec<_>) = all.partition(|(name, _)| is_here(name));
    pairs.sort_by_key(|(name, _)| *name != main);
    let pairs: Vec<_> = pairs.into_iter().map(|(_, pair)| pair).collect();
    if pairs.is_empty() {
        return AdvisoryAnswer::untold("the lock file has no package of this registry");
    }
    let args = ["-I", "-c", ASK, &base];
    let call = Call::new(python, dir).args(&args).args(&pairs);
    let said = match call.quick(true).limit(LIMIT).output() {
        Ok(said) => String::from_utf8_lossy(&said).into_owned(),
        Err(error) => {
            let why = error
                .causes
                .first()
                .map_or(&error.what, |cause| &cause.fact);
            return AdvisoryAnswer::untold(format!("this registry does not tell: {why}"));
        }
    };
    let mut answer = read(&said);
    let missing = pairs.len() - answer.packages;
    if answer.packages == 0 {
        return AdvisoryAnswer::untold("this registry does not tell");
    }
    if missing > 0 {
        let why = format!("no answer about {missing} of {} packages", pairs.len());
        answer.untold.push(why);
    }
    if !elsewhere.is_empty() {
        let why = format!("{} packages of another registry", elsewhere.len());
        answer.untold.push(why);
    }
    answer.sorted()
}

/// The registry of the main package: that of the lock, or for pip's lock that of the command or of
/// pip's settings.
fn known_index(
    dir: &Path,
    python: &str,
    lock: &str,
    launch: &ParsedCommand,
    main: &str,
) -> Option<String> {
    if pip_lock::locked(lock).is_none() {
        return Some(index(lock, main));
    }
    if let Some(named) = launch.option(INDEX) {
        return Some(named.to_owned());
    }
    let settings = ["-I", "-m", "pip", "config", "list"];
    let said = Call::new(python, dir)
        .args(&settings)
        .limit(LIMIT)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&said).into_owned();
    if said.contains("find-links") || said.contains("extra-index-url") {
        // It is not recorded which of them a package is from.
        return None;
    }
    let own = said.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.ends_with("index-url")
            .then(|| value.trim_matches('\'').to_owned())
    });
    Some(own.unwrap_or_else(|| index(lock, main)))
}

/// The address in front of `/pypi`, if the registry has the paths of PyPI.
fn base(index: &str) -> Option<String> {
    let plain = index.starts_with("http") && !index.contains('@');
    let base = index.trim_end_matches('/').strip_suffix("/simple")?;
    plain.then(|| base.to_owned())
}

/// Reads what the helper printed.
fn read(said: &str) -> AdvisoryAnswer {
    let mut answer = AdvisoryAnswer::default();
    for line in said.lines() {
        let parsed = serde_json::from_str::<(String, String, Option<Vec<Value>>)>(line);
        let Ok((name, version, Some(all))) = parsed else {
            continue;
        };
        answer.packages += 1;
        let is_current = |one: &&Value| one.get("withdrawn").is_none_or(Value::is_null);
        for one in all.iter().filter(is_current) {
            let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
            let title = match text("summary") {
                "" => text("details").lines().next().unwrap_or_default(),
                summary => summary,
            };
            answer.found.push(Advisory {
                package: name.clone(),
                version: version.clone(),
                severity: None,
                id: text("id").to_owned(),
                title: title.chars().take(TITLE_CHARS_MAX).collect(),
                url: text("link").to_owned(),
                fixed: fixed(one, &version),
            });
        }
    }
    answer
}

/// The longest title (characters): PyPI often has only a description.
const TITLE_CHARS_MAX: usize = 120;

/// The first fixed version after this one.
fn fixed(one: &Value, version: &str) -> Option<String> {
    let own: pep440_rs::Version = version.parse().ok()?;
    let all = one.get("fixed_in")?.as_array()?;
    let all = all.iter().filter_map(|fixed| {
        let text = fixed.as_str()?;
        Some((text.parse::<pep440_rs::Version>().ok()?, text))
    });
    let newer = all.filter(|(fixed, _)| *fixed > own);
    newer.min().map(|(_, text)| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_helper() {
        let said = r#"["a","1.0",[{"id":"PYSEC-1","details":"Bad.\nMore","link":"https://x","fixed_in":["0.9","1.10","1.2"]},{"id":"PYSEC-2","withdrawn":"2026-01-01"}]]
["b","2.0",[]]
["c","3.0",null]
"#;
        let answer = read(said);
        assert_eq!((answer.packages, answer.found.len()), (2, 1));
        assert_eq!(answer.found[0].summary(), "Bad. (PYSEC-1), fixed in 1.2");
        assert_eq!(answer.found[0].severity, None);
    }

    #[test]
    fn only_the_paths_of_pypi_are_asked() {
        for (index, expected) in [
            ("https://pypi.org/simple", Some("https://pypi.org")),
            ("https://pypi.org/simple/", Some("https://pypi.org")),
            ("https://user:word@r.example/simple", None),
            ("https://r.example/packages", None),
            ("/opt/simple", None),
        ] {
            assert_eq!(base(index).as_deref(), expected, "{index}");
        }
    }
}
