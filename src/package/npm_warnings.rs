//! What npm warns about although it reports success.

/// The packages that need another Node.js, by npm's warnings: `name@version needs …`.
pub(super) fn misfits(warnings: &str) -> Vec<String> {
    let value = |line: &str, key: &str| {
        let text = line.trim().strip_prefix("npm warn EBADENGINE")?.trim();
        Some(
            text.strip_prefix(key)?
                .trim_end_matches(',')
                .trim()
                .to_owned(),
        )
    };
    let mut found = Vec::new();
    let mut package = None;
    for line in warnings.lines() {
        if let Some(name) = value(line, "package:") {
            package = Some(name.trim_matches('\'').to_owned());
        } else if let Some(required) = value(line, "required:") {
            let required = required.trim_matches(['{', '}', ' ']).replace('\'', "");
            let required = required.replacen("node:", "Node.js", 1);
            found.extend(
                package
                    .take()
                    .map(|name| format!("{name} needs {required}")),
            );
        }
    }
    found
}

/// The first warning about a file that npm could not write: it goes on and reports success.
pub(super) fn file_warning(warnings: &str) -> Option<String> {
    const OF_FILES: &[&str] = &[
        "npm warn tar",
        "TAR_",
        "ENOSPC",
        "EDQUOT",
        "EIO",
        "EACCES",
        "EROFS",
    ];
    let line = warnings
        .lines()
        .find(|line| OF_FILES.iter().any(|word| line.contains(word)))?;
    Some(line.trim_start_matches("npm warn ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_understood() {
        let said = "npm warn EBADENGINE Unsupported engine {\n\
            npm warn EBADENGINE   package: '@s/a@4.25.2',\n\
            npm warn EBADENGINE   required: { node: '>=22.0.0', npm: '>=9' },\n\
            npm warn EBADENGINE   current: { node: 'v20.20.2', npm: '11.19.1' }\n\
            npm warn EBADENGINE }\n";
        assert_eq!(
            misfits(said),
            ["@s/a@4.25.2 needs Node.js >=22.0.0, npm: >=9"]
        );
        assert_eq!(file_warning(said), None);
        let full = "npm warn tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write\n";
        assert_eq!(
            file_warning(full).as_deref(),
            Some("tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write")
        );
    }
}
