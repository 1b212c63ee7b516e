//! How what a command means differs from what was approved before, for the user who approves it again.

use std::collections::BTreeSet;

use super::file::SealedFile;
use super::sealed::Invocation;
use crate::dirs::Dirs;

impl Invocation {
    /// What is not as it was in `old`, one line for each fact.
    pub fn differences(&self, old: &Self, dirs: &Dirs) -> Vec<String> {
        let Self {
            directory,
            path,
            env,
            files,
            stores,
        } = self;
        let mut lines = files_that_differ(files, &old.files, dirs);
        if *directory != old.directory {
            lines.push("the working directory is another one".to_owned());
        }
        if *path != old.path {
            lines.push("`PATH` is another one".to_owned());
        }
        let names: BTreeSet<_> = env.keys().chain(old.env.keys()).collect();
        for name in names {
            if env.get(name) != old.env.get(name) {
                lines.push(format!("`{name}` has another value"));
            }
        }
        for store in stores {
            let name = &store.name;
            let Some(before) = old.stores.iter().find(|before| before.name == *name) else {
                lines.push(format!("store `{name}` was not granted before"));
                continue;
            };
            if before.definition != store.definition {
                lines.push(format!("store `{name}` has another definition"));
            }
            for line in files_that_differ(&store.files, &before.files, dirs) {
                lines.push(format!("store `{name}`: {line}"));
            }
        }
        lines
    }
}

fn files_that_differ(files: &[SealedFile], old: &[SealedFile], dirs: &Dirs) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files {
        let shown = dirs.tilde(&file.found);
        match old.iter().find(|before| before.found == file.found) {
            None => lines.push(format!("`{shown}` did not run before")),
            Some(before) if before.real != file.real => {
                lines.push(format!("`{shown}` is now `{}`", dirs.tilde(&file.real)));
            }
            // What only root can change is granted by its path.
            Some(before) if before.system && file.system => {}
            Some(before) if before.digest != file.digest => {
                lines.push(format!("`{shown}` has other content"));
            }
            Some(_) => {}
        }
    }
    lines
}
