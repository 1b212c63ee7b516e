//! `mcpwrap man DIR`: one manual page per command, from the same text and table as `--help`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use super::help::{self, Page};
use crate::error::{Code, Error, Result};
use crate::files::io_text;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output directory, e.g. `~/.local/share/man/man1`
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<u8> {
    let shown = args.dir.display();
    let unusable = |error: io::Error| {
        Error::new(
            Code::FileUnusable,
            format!("cannot write manual pages to `{shown}`"),
        )
        .cause(io_text(&error))
        .hint(format!("run `mkdir -p {shown}`, or name another directory"))
    };
    let mut root = help::plain_command();
    root.build();
    write(&root, "", &args.dir).map_err(unusable)?;
    Ok(0)
}

/// Writes the page of a command, and those of the commands below it.
#[expect(
    clippy::disallowed_methods,
    reason = "manual pages are for every user of the machine"
)]
fn write(command: &Command, path: &str, dir: &Path) -> io::Result<()> {
    let name = format!("mcpwrap {path}").trim_end().replace(' ', "-");
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let page = help::of(path).unwrap_or(&help::ROOT);
    text.extend(sections(page).as_bytes());
    fs::write(dir.join(format!("{name}.1")), text)?;
    for one in command.get_subcommands() {
        // clap's own `help` says nothing that the page does not say.
        if one.get_name() != "help" && !one.is_hide_set() {
            write(one, format!("{path} {}", one.get_name()).trim_start(), dir)?;
        }
    }
    Ok(())
}

/// What the table says.
fn sections(page: &Page) -> String {
    let mut text = format!(".SH \"RUNNING SERVERS\"\n{}\n", escaped(page.running));
    text.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in page.exits() {
        entry(&mut text, code, meaning);
    }
    if !page.files.is_empty() {
        text.push_str(".SH FILES\n");
        for (file, about) in page.files {
            entry(&mut text, file, about);
        }
        text.push_str(".PP\nWith MCPWRAP_HOME, all are in that directory.\n");
    }
    text.push_str(".SH EXAMPLES\n");
    for (command, about) in page.examples {
        entry(&mut text, command, about);
    }
    if !page.path.is_empty() {
        text.push_str(".SH \"SEE ALSO\"\nmcpwrap(1)\n");
    }
    text
}

/// A term in bold and what it means.
fn entry(text: &mut String, term: &str, meaning: &str) {
    _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(meaning));
}

/// The text as roff shows it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.strip_prefix(['.', '\'']) {
        Some(_) => format!("\\&{text}"),
        None => text,
    }
}
