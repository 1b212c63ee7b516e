//! The archives of a registry: npm's, wheels and source archives.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A pure Python wheel: one module, one program of the same name.
pub(super) fn wheel(path: &Path, name: &str, version: &str, module: &str) -> Vec<u8> {
    let code = "import sys,zipfile\n\
        name,version,module,path=sys.argv[1:]\n\
        info=f'{name}-{version}.dist-info/'\n\
        files={f'{name}.py':module,\n\
        info+'METADATA':f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n',\n\
        info+'WHEEL':'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',\n\
        info+'entry_points.txt':f'[console_scripts]\\n{name} = {name}:main\\n'}\n\
        record=''.join(f'{n},,\\n' for n in files)+info+'RECORD,,\\n'\n\
        z=zipfile.ZipFile(path,'w')\n\
        [z.writestr(n,t) for n,t in [*files.items(),(info+'RECORD',record)]]\n\
        z.close()\n";
    let mut python = Command::new("python3");
    let status = python
        .args(["-c", code, name, version, module])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
    std::fs::read(path).unwrap()
}

/// A source archive, whose build runs this code.
pub(super) fn source(dir: &Path, name: &str, version: &str, build: &str) -> Vec<u8> {
    let top = format!("{name}-{version}");
    let work = tempfile::tempdir_in(dir).unwrap();
    let root = work.path().join(&top);
    std::fs::create_dir(&root).unwrap();
    // Without metadata that could be read without a build.
    let project =
        "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let info = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for (file, text) in [
        ("pyproject.toml", project),
        ("PKG-INFO", &info),
        ("backend.py", build),
    ] {
        std::fs::write(root.join(file), text).unwrap();
    }
    packed(work.path(), &top)
}

/// npm's archive of a package.
pub(super) fn tarball(dir: &Path, manifest: &Value, files: &[(&str, &str)]) -> Vec<u8> {
    let work = tempfile::tempdir_in(dir).unwrap();
    let root = work.path().join("package");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("package.json"), manifest.to_string()).unwrap();
    for (name, text) in files {
        std::fs::write(root.join(name), text).unwrap();
    }
    packed(work.path(), "package")
}

/// An archive of a directory in another one.
fn packed(dir: &Path, name: &str) -> Vec<u8> {
    let archive = dir.join("archive.tgz");
    let mut tar = Command::new("tar");
    let tar = tar.arg("-C").arg(dir).arg("-czf").arg(&archive).arg(name);
    assert!(tar.status().unwrap().success());
    std::fs::read(archive).unwrap()
}
