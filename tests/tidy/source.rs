//! The crate's source as the rules see it: files, modules, what each file defines and what it names.
//!
//! Code behind `#[cfg(test)]` and files of tests are left out. What a macro makes, and what stands inside its arguments,
//! is not seen.

use std::collections::BTreeMap;
use std::path::Path;

use syn::visit::{self, Visit};

/// A path from the root of the crate: modules, then perhaps an item.
pub type CratePath = Vec<String>;

/// One file of `src`.
pub struct SourceFile {
    /// Below `src`, such as `adopt/plan.rs`.
    pub name: String,
    /// Its module, such as `["adopt", "plan"]`.
    pub module: CratePath,
    /// What it names of this crate, with the line.
    pub named: Vec<(CratePath, usize)>,
    /// What it hands on from other modules: the name here, and what it stands for.
    pub handed_on: BTreeMap<String, CratePath>,
    /// The types that it defines, with the line.
    pub types: Vec<(String, usize)>,
}

/// Every file of `src`, parsed.
pub struct Source {
    pub files: Vec<SourceFile>,
}

impl Source {
    /// Reads the files, given as name and text.
    pub fn read(files: &[(String, String)]) -> Self {
        let is_test = |name: &str| name.contains("/tests/") || name.ends_with("tests.rs");
        let files = files.iter().filter(|(name, _)| !is_test(name));
        let files = files.map(|(name, text)| parse(name, text)).collect();
        Self { files }
    }

    /// The file in which something stands, seen from the root of the crate; re-exports are followed.
    pub fn home(&self, path: &CratePath) -> Option<&SourceFile> {
        let mut path = path.clone();
        // A chain of re-exports is short; a circle of them does not compile.
        for _ in 0..8 {
            let file = self.module(&path)?;
            let next = path
                .get(file.module.len())
                .and_then(|item| file.handed_on.get(item));
            match next {
                Some(target) => {
                    let rest = path.split_off(file.module.len() + 1);
                    path.clone_from(target);
                    path.extend(rest);
                }
                None => return Some(file),
            }
        }
        None
    }

    /// The file of the longest module at the start of a path.
    fn module(&self, path: &CratePath) -> Option<&SourceFile> {
        let within = |file: &&SourceFile| path.starts_with(&file.module);
        self.files
            .iter()
            .filter(within)
            .max_by_key(|file| file.module.len())
    }

    /// For each file, the other files that it names, each with one line where it does.
    pub fn edges(&self) -> BTreeMap<&str, BTreeMap<&str, usize>> {
        let mut edges: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for file in &self.files {
            let own = edges.entry(&file.name).or_default();
            for (path, line) in &file.named {
                if let Some(home) = self.home(path).filter(|home| home.name != file.name) {
                    own.entry(&home.name).or_insert(*line);
                }
            }
        }
        edges
    }
}

fn parse(name: &str, text: &str) -> SourceFile {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("src/{name}: {error}"));
    let mut module: CratePath = Path::new(name)
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    let mut reader = Reader {
        module: module.clone(),
        named: Vec::new(),
        handed_on: BTreeMap::new(),
        types: Vec::new(),
    };
    reader.visit_file(&parsed);
    SourceFile {
        name: name.to_owned(),
        module,
        named: reader.named,
        handed_on: reader.handed_on,
        types: reader.types,
    }
}

struct Reader {
    module: CratePath,
    named: Vec<(CratePath, usize)>,
    handed_on: BTreeMap<String, CratePath>,
    types: Vec<(String, usize)>,
}

impl Reader {
    /// A path of the source from the root of the crate, if it says where it begins.
    fn absolute(&self, path: &[String]) -> Option<CratePath> {
        let mut base = self.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while rest.get(1).is_some_and(|next| next == "super") {
                    base.pop();
                    rest = rest.get(1..)?;
                }
                base.pop();
            }
            _ => return None,
        }
        base.extend(rest.get(1..)?.iter().cloned());
        Some(base)
    }

    fn tree(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>, is_public: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.tree(&path.tree, prefix, is_public);
                prefix.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, prefix, is_public);
                }
            }
            syn::UseTree::Name(name) => self.imported(prefix, &name.ident, &name.ident, is_public),
            syn::UseTree::Rename(name) => {
                self.imported(prefix, &name.ident, &name.rename, is_public);
            }
            syn::UseTree::Glob(glob) => self.name(prefix, glob.star_token.spans[0].start().line),
        }
    }

    fn imported(
        &mut self,
        prefix: &[String],
        item: &syn::Ident,
        name: &syn::Ident,
        is_public: bool,
    ) {
        let line = item.span().start().line;
        let mut path = prefix.to_vec();
        if item != "self" {
            path.push(item.to_string());
        }
        if is_public {
            // A child of this module may be named without `self::`.
            let target = self.absolute(&path).unwrap_or_else(|| {
                let mut target = self.module.clone();
                target.extend(path);
                target
            });
            self.handed_on.insert(name.to_string(), target);
        } else {
            self.name(&path, line);
        }
    }

    fn name(&mut self, path: &[String], line: usize) {
        if let Some(path) = self.absolute(path) {
            self.named.push((path, line));
        }
    }

    fn define(&mut self, name: &syn::Ident) {
        self.types
            .push((name.to_string(), name.span().start().line));
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            let is_public = !matches!(item.vis, syn::Visibility::Inherited);
            self.tree(&item.tree, &mut Vec::new(), is_public);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) || item.content.is_none() {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if !is_test(&item.attrs) {
            self.define(&item.ident);
            visit::visit_item_struct(self, item);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if !is_test(&item.attrs) {
            self.define(&item.ident);
            visit::visit_item_enum(self, item);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        if !is_test(&item.attrs) {
            self.define(&item.ident);
            visit::visit_item_trait(self, item);
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        if !is_test(&item.attrs) {
            self.define(&item.ident);
            visit::visit_item_type(self, item);
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::x)` names a module, and uses nothing of it.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            self.name(&names, line);
        }
        visit::visit_path(self, path);
    }
}
