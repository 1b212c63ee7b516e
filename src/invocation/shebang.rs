//! The first line of a script: which program runs it.

/// The interpreter of a script, as the kernel starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shebang {
    /// The path in the line.
    pub(super) program: String,
    /// The program that `env` searches PATH for, if that is the program of the line.
    pub(super) searched: Option<String>,
}

/// Reads the first line of a file, if it is one for an interpreter.
pub(super) fn read(head: &[u8]) -> Option<Shebang> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let (program, rest) = line
        .split_once([' ', '\t'])
        .map_or((line, ""), |(program, rest)| (program, rest.trim()));
    let is_env = program.rsplit('/').next() == Some("env");
    // `env -S` splits the rest into words; without it the kernel passes one word.
    let searched = rest
        .split_whitespace()
        .find(|word| !word.starts_with('-') && !word.contains('='))
        .filter(|_| is_env)
        .map(str::to_owned);
    (!program.is_empty()).then(|| Shebang {
        program: program.to_owned(),
        searched,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let case = |line: &str, expected: Option<(&str, Option<&str>)>| {
            let found = read(line.as_bytes());
            let found = found
                .as_ref()
                .map(|one| (one.program.as_str(), one.searched.as_deref()));
            assert_eq!(found, expected, "{line}");
        };
        case(
            "#!/usr/bin/env node\nx",
            Some(("/usr/bin/env", Some("node"))),
        );
        case("#! /bin/sh -e\n", Some(("/bin/sh", None)));
        case(
            "#!/usr/bin/env -S A=1 node --x\n",
            Some(("/usr/bin/env", Some("node"))),
        );
        case("#!/venv/bin/python\r\n", Some(("/venv/bin/python", None)));
        case("#!\n", None);
        case("\u{7f}ELF", None);
        case("# no", None);
    }
}
