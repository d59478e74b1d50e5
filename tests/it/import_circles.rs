//! No file imports in a circle with another one, unless they are parent and child, so each file can be read after those that it uses.
//!
//! The graph is built from the text of the files: `use` declarations and paths that begin with `crate` or `super`, resolved through `pub
//! use` to the file that defines the name. Tests inside of a file are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::architecture_rules::{crate_sources, read, repository, rust_files};

/// `["decide", "upgrade"]` for `decide/upgrade.rs`; empty for the root of a crate.
type ModulePath = Vec<String>;

struct CrateModules {
    /// The code of each module, without comments and tests.
    code: BTreeMap<ModulePath, String>,
    /// The module that defines a name, if the module re-exports it with `pub use`.
    reexports: BTreeMap<(ModulePath, String), ModulePath>,
}

#[test]
fn files_that_import_each_other_are_parent_and_child() {
    let mut circles = Vec::new();
    for root in crate_sources().into_iter().chain([repository().join("tests/harness/src")]) {
        let modules = CrateModules::read(&root);
        assert!(!modules.code.is_empty(), "{} has no files", root.display());
        for circle in modules.circles() {
            let files: Vec<String> = circle.iter().map(|module| module.join("/")).collect();
            let root = root.strip_prefix(repository()).unwrap();
            circles.push(format!("{}: {}", root.display(), files.join(", ")));
        }
    }
    assert_eq!(circles, Vec::<String>::new());
}

#[test]
fn a_circle_of_files_is_found_through_a_reexport() {
    let modules = CrateModules::new([
        (vec![], "mod a; mod b; mod c; pub use b::deep::Thing;"),
        (vec!["a"], "use crate::{Thing, c::{Other, More}};\nfn f() {}"),
        (vec!["b"], "pub mod deep;"),
        (vec!["b", "deep"], "pub struct Thing;\nfn f() { super::super::a::f() }"),
        (vec!["c"], "// use crate::a::f;\n#[cfg(test)]\nmod tests { use crate::a::f; }"),
    ]);
    assert_eq!(modules.circles(), [vec![vec!["a".to_owned()], vec!["b".to_owned(), "deep".to_owned()]]]);
}

impl CrateModules {
    fn read(root: &Path) -> Self {
        let files = rust_files(root).into_iter();
        Self::from_code(files.filter_map(|file| Some((module_path(root, &file)?, read(&file)))).collect())
    }

    fn new<const N: usize>(files: [(Vec<&str>, &str); N]) -> Self {
        let files =
            files.map(|(path, code)| (path.into_iter().map(str::to_owned).collect(), code.to_owned()));
        Self::from_code(files.into())
    }

    fn from_code(files: BTreeMap<ModulePath, String>) -> Self {
        let code = files.into_iter().map(|(path, text)| (path, without_comments_and_tests(&text))).collect();
        let mut modules = Self { code, reexports: BTreeMap::new() };
        let mut reexports = BTreeMap::new();
        for (module, code) in &modules.code {
            for path in use_paths(code, true) {
                if let Some((target, rest)) = modules.resolve(module, &path)
                    && let Some(name) = rest.first().or(path.last())
                {
                    reexports.insert((module.clone(), name.clone()), target);
                }
            }
        }
        modules.reexports = reexports;
        modules
    }

    /// The module that a path refers to, and the rest of the path.
    fn resolve(&self, module: &ModulePath, path: &[String]) -> Option<(ModulePath, Vec<String>)> {
        let mut base = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child = base.iter().cloned().chain([first.to_owned()]).collect::<Vec<_>>();
                self.code.get(&child)?;
            }
        }
        (0..=rest.len()).rev().find_map(|taken| {
            let target: ModulePath = base.iter().chain(&rest[..taken]).cloned().collect();
            self.code.contains_key(&target).then(|| (target, rest[taken..].to_vec()))
        })
    }

    /// The modules that a module imports from, without its own ancestors and descendants.
    fn imports(&self, module: &ModulePath) -> BTreeSet<ModulePath> {
        let code = &self.code[module];
        let mut imports = BTreeSet::new();
        for path in use_paths(code, false).into_iter().chain(inline_paths(code)) {
            let Some((mut target, rest)) = self.resolve(module, &path) else { continue };
            let mut followed = BTreeSet::new();
            while let Some(name) = rest.first()
                && let Some(source) = self.reexports.get(&(target.clone(), name.clone()))
                && followed.insert(target.clone())
            {
                target = source.clone();
            }
            if !target.starts_with(module) && !module.starts_with(&target) {
                imports.insert(target);
            }
        }
        imports
    }

    /// Sets of modules that all reach each other.
    fn circles(&self) -> Vec<Vec<ModulePath>> {
        let imports: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
            self.code.keys().map(|module| (module, self.imports(module))).collect();
        let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
            self.code.keys().map(|module| (module, reachable(module, &imports))).collect();
        let mut circles: BTreeSet<Vec<ModulePath>> = BTreeSet::new();
        for (module, others) in &reached {
            if others.contains(*module) {
                let circle = others.iter().filter(|other| reached[**other].contains(*module));
                circles.insert(circle.map(|other| (*other).clone()).collect());
            }
        }
        circles.into_iter().collect()
    }
}

/// All modules that are reachable from a module; the module itself only through others.
fn reachable<'a>(
    from: &ModulePath,
    imports: &'a BTreeMap<&ModulePath, BTreeSet<ModulePath>>,
) -> BTreeSet<&'a ModulePath> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&ModulePath> = imports[from].iter().collect();
    while let Some(module) = waiting.pop() {
        if reached.insert(module) {
            waiting.extend(&imports[module]);
        }
    }
    reached
}

/// The module of a file; `None` for tests, programs and generated code.
fn module_path(root: &Path, file: &Path) -> Option<ModulePath> {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let mut path: ModulePath = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if path.iter().any(|part| ["bin", "generated", "tests"].contains(&part.as_str())) {
        return None;
    }
    path.pop_if(|name| ["lib", "main"].contains(&name.as_str()));
    Some(path)
}

fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths of all `use` declarations, or only of the public ones, with their groups expanded.
fn use_paths(code: &str, public_only: bool) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (declaration, is_public) in use_declarations(code) {
        if is_public || !public_only {
            expand(declaration, &mut Vec::new(), &mut paths);
        }
    }
    paths
}

/// The text between `use` and `;`, and whether it is `pub`.
fn use_declarations(code: &str) -> Vec<(&str, bool)> {
    let mut declarations = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line_start = rest[..at].rfind(['\n', ';', '{', '}']).map_or(0, |index| index + 1);
        let before = rest[line_start..at].trim();
        rest = &rest[at + "use ".len()..];
        if (before.is_empty() || before.starts_with("pub"))
            && let Some(end) = rest.find(';')
        {
            declarations.push((&rest[..end], before.starts_with("pub")));
            rest = &rest[end..];
        }
    }
    declarations
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, group.trim_end().strip_suffix('}')),
        None => (tree, None),
    };
    let path = path.split(" as ").next().unwrap_or_default();
    let segments: Vec<String> =
        path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
    let length = prefix.len();
    prefix.extend(segments);
    match group {
        None => paths.push(prefix.clone()),
        Some(group) => {
            let (mut depth, mut start) = (0, 0);
            for (at, character) in group.char_indices().chain([(group.len(), ',')]) {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        if !group[start..at].trim().is_empty() {
                            expand(&group[start..at], prefix, paths);
                        }
                        start = at + 1;
                    }
                    _ => {}
                }
            }
        }
    }
    prefix.truncate(length);
}

/// Paths in the code itself that begin with `crate` or `super`.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.split(|character: char| !is_word(character) && character != ':')
        .map(|word| word.split("::").map(str::to_owned).collect::<Vec<_>>())
        .filter(|path| path.len() > 1 && ["crate", "super"].contains(&path[0].as_str()))
        .map(|path| path.into_iter().filter(|segment| !segment.is_empty()).collect())
        .collect()
}
