//! What is built, and what it is called: the one table of targets and of names.

/// The program and its packages, in all channels but these two.
pub const NAME: &str = "mcpwrap";
/// The package on PyPI, where `mcpwrap` belongs to another project.
pub const WHEEL: &str = "mcpwrap-cli";
/// The package on npm, and the scope (`@…`) of the packages with the binaries.
pub const NPM: &str = "mcpwrap-cli";

/// A system that the program is built for.
#[derive(Debug)]
pub struct Target {
    /// As rustc calls it.
    pub triple: &'static str,
    /// `process.platform` and `process.arch` of Node.js.
    pub npm: (&'static str, &'static str),
    /// The tags of a wheel. One static program runs with glibc and with musl.
    pub wheel: &'static [&'static str],
    /// As Debian, through nfpm, calls the architecture. None without Linux packages.
    pub nfpm: Option<&'static str>,
    /// As Arch Linux calls it.
    pub arch: Option<&'static str>,
}

pub const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-musl",
        npm: ("linux", "x64"),
        wheel: &[
            "manylinux_2_17_x86_64",
            "manylinux2014_x86_64",
            "musllinux_1_1_x86_64",
        ],
        nfpm: Some("amd64"),
        arch: Some("x86_64"),
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        npm: ("linux", "arm64"),
        wheel: &[
            "manylinux_2_17_aarch64",
            "manylinux2014_aarch64",
            "musllinux_1_1_aarch64",
        ],
        nfpm: Some("arm64"),
        arch: Some("aarch64"),
    },
    Target {
        triple: "x86_64-apple-darwin",
        npm: ("darwin", "x64"),
        wheel: &["macosx_10_12_x86_64"],
        nfpm: None,
        arch: None,
    },
    Target {
        triple: "aarch64-apple-darwin",
        npm: ("darwin", "arm64"),
        wheel: &["macosx_11_0_arm64"],
        nfpm: None,
        arch: None,
    },
];

impl Target {
    pub fn is_linux(&self) -> bool {
        self.nfpm.is_some()
    }

    /// Whether this machine runs what is built for it.
    pub fn is_native(&self) -> bool {
        let (system, processor) = self.npm;
        let own = if cfg!(target_arch = "x86_64") {
            "x64"
        } else {
            "arm64"
        };
        processor == own && cfg!(target_os = "linux") == (system == "linux")
    }
}

/// The one with this name.
pub fn named(triple: &str) -> Result<&'static Target, String> {
    let known = TARGETS.iter().find(|target| target.triple == triple);
    known.ok_or_else(|| {
        let all: Vec<_> = TARGETS.iter().map(|target| target.triple).collect();
        format!(
            "unknown target `{triple}`; expected one of {}",
            all.join(", ")
        )
    })
}

/// The one that this machine runs.
pub fn native() -> Result<&'static Target, String> {
    let native = TARGETS.iter().find(|target| target.is_native());
    native.ok_or_else(|| "nothing is released for this system".to_owned())
}
